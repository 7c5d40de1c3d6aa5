"""Pages through a dictionary, a hundred features a request, and prints one line each.

    python scripts/examples/page.py demo/2-tied-r4
"""
import sys

from catalog import ask

PAGE = """
query Page($filter: FeatureFilter, $after: String) {
  features(filter: $filter, first: 100, after: $after) {
    nodes { address density explanations(first: 1) { nodes { description } } }
    pageInfo { hasNextPage endCursor }
  }
}"""

model, name = sys.argv[1].split("/")
after, more = None, True
while more:
    page = ask(PAGE, {"filter": {"model": model, "dictionaries": [name]}, "after": after})["features"]
    for feature in page["nodes"]:
        said = feature["explanations"]["nodes"]
        print(f"{feature['address']}\t{feature['density']:.5f}\t{said[0]['description'] if said else ''}")
    after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
