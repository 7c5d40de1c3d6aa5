"""Clamps one feature and prints what the model then writes beside what it writes without.

    python scripts/examples/steer.py demo/2-tied-r4/17 "They met at the" 10
"""
import sys

from catalog import ask, checked

STEER = """
mutation Steer($input: SteerInput!) {
  steer(input: $input) {
    steerRun { firstDifference steered { text } unsteered { text } }
    userErrors { field message }
  }
}"""

address, prompt, value = sys.argv[1], sys.argv[2], float(sys.argv[3])
edit = {"model": address.split("/")[0], "prompt": prompt, "features": [{"feature": address, "operation": "SET", "value": value}]}
run = checked(ask(STEER, {"input": edit})["steer"])["steerRun"]
print(f"unsteered {run['unsteered']['text']!r}")
print(f"steered   {run['steered']['text']!r}")
