"""Ablates one feature and prints how the next-token distribution moves. Needs only Python's standard library.

    python scripts/examples/patch.py demo/0-tied-r4/356 "They met at the library (HTL"
"""
import json
import os
import sys
import urllib.request

URL = os.environ.get("CATALOG_URL", "http://127.0.0.1:4000/graphql")

PATCH = """
mutation Ablate($input: PatchInput!) {
  patch(input: $input) {
    patchRun { hash editMagnitude positions { token klFromBase changes { token baseLogProb patchedLogProb } } }
    userErrors { field message }
  }
}"""


def ask(query, variables):
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(URL, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        answer = json.load(response)
    if "errors" in answer:
        raise SystemExit("; ".join(error["message"] for error in answer["errors"]))
    return answer["data"]


address, prompt = sys.argv[1], sys.argv[2]
payload = ask(PATCH, {"input": {"model": address.split("/")[0], "base": prompt,
                                "features": [{"feature": address, "operation": "ABLATE"}]}})["patch"]
if payload["userErrors"]:
    raise SystemExit("; ".join(error["message"] for error in payload["userErrors"]))
run = payload["patchRun"]
for position in run["positions"]:
    print(f"after {position['token']!r}: KL(patched||base) = {position['klFromBase']:.4f} nats, edit of norm {run['editMagnitude']:.2f}")
    for change in position["changes"]:
        print(f"  {change['token']!r:14} log p {change['baseLogProb']:.2f} -> {change['patchedLogProb']:.2f}")
