"""Reads one feature: how often it fires, what was said of it, and where it fires strongest.

    python scripts/examples/feature.py demo/2-tied-r4/17
"""
import sys

from catalog import ask

FEATURE = """
query Feature($address: FeatureAddress!) {
  feature(address: $address) {
    density maxActivation
    explanations(first: 5) { nodes { explainer description scores { scorer judge value undefinedReason } } }
    exemplars(first: 5) { maxActivation tokens { text activation } }
  }
}"""

address = sys.argv[1]
feature = ask(FEATURE, {"address": address})["feature"]
if feature is None:
    raise SystemExit(f"the catalog has no feature {address}")
print(f"{address}: active on {100 * feature['density']:.2f} % of tokens, at most {feature['maxActivation']:.2f}")
for explanation in feature["explanations"]["nodes"]:
    print(f"  {explanation['explainer']}: {explanation['description']}")
    for score in explanation["scores"]:
        value = score["undefinedReason"] if score["value"] is None else f"{score['value']:.2f}"
        print(f"    {score['scorer']} by {score['judge']}: {value}")
for exemplar in feature["exemplars"]:
    text = "".join(f"«{token['text']}»" if token["activation"] > 0 else token["text"] for token in exemplar["tokens"])
    print(f"  {exemplar['maxActivation']:7.2f} {text!r}")
