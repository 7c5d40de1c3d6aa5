"""Ablates one feature and prints how the next-token distribution moves.

    python scripts/examples/patch.py demo/0-tied-r4/356 "They met at the library (HTL"
"""
import sys

from catalog import ask, checked

PATCH = """
mutation Ablate($input: PatchInput!) {
  patch(input: $input) {
    patchRun { editMagnitude positions { token klFromBase changes { token baseLogProb patchedLogProb } } }
    userErrors { field message }
  }
}"""

address, prompt = sys.argv[1], sys.argv[2]
edit = {"model": address.split("/")[0], "base": prompt, "features": [{"feature": address, "operation": "ABLATE"}]}
run = checked(ask(PATCH, {"input": edit})["patch"])["patchRun"]
for position in run["positions"]:
    print(f"after {position['token']!r}: KL(patched||base) = {position['klFromBase']:.4f} nats, edit of norm {run['editMagnitude']:.2f}")
    for change in position["changes"]:
        print(f"  {change['token']!r:14} log p {change['baseLogProb']:.2f} -> {change['patchedLogProb']:.2f}")
