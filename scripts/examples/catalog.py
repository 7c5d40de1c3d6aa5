"""What the Python examples share: one request to the catalog at CATALOG_URL, with the key in CATALOG_KEY. Standard library only."""
import json
import os
import time
import urllib.error
import urllib.request

URL = os.environ.get("CATALOG_URL", "http://127.0.0.1:4000/graphql")
KEY = os.environ.get("CATALOG_KEY", "")


def ask(query, variables, retries=3):
    """Data of an operation; exits with what the catalog says where it fails, and waits where it says it is busy."""
    headers = {"content-type": "application/json"}
    if KEY:
        headers["authorization"] = f"Bearer {KEY}"
    request = urllib.request.Request(URL, json.dumps({"query": query, "variables": variables}).encode(), headers)
    try:
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        answer = json.load(error)
    except urllib.error.URLError as error:
        raise SystemExit(f"no answer from {URL}: {error.reason}")
    if answer.get("errors"):
        extensions = answer["errors"][0].get("extensions", {})
        if extensions.get("code") == "BUSY" and retries > 0:
            time.sleep(extensions.get("retryAfterSeconds", 1))
            return ask(query, variables, retries - 1)
        raise SystemExit("; ".join(error["message"] for error in answer["errors"]))
    return answer["data"]


def checked(payload):
    """A mutation's payload without user errors."""
    if payload["userErrors"]:
        raise SystemExit("; ".join(error["message"] for error in payload["userErrors"]))
    return payload
