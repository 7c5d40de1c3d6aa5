"""Finds features by description.

    python scripts/examples/find.py "brackets -quotes"
"""
import sys

from catalog import ask

FIND = """
query Find($query: String!) {
  searchFeatures(query: $query, first: 10) { nodes { address explanations(first: 1) { nodes { description } } } }
}"""

found = ask(FIND, {"query": sys.argv[1]})["searchFeatures"]["nodes"]
for feature in found:
    print(f"{feature['address']:24} {feature['explanations']['nodes'][0]['description']}")
if not found:
    print(f'no feature is described with "{sys.argv[1]}"')
