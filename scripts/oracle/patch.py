"""Writes test/fixtures/patch/<model>.json: one causal patch of a model by PyTorch hooks on Hugging Face transformers.

    python scripts/oracle/patch.py [--models FOLDER ...] [--out test/fixtures/patch]

By default the random models of test/fixtures/lm; a further folder's fixture is compared where the folder is present and has
the same weights. Features of two random dictionaries, at resid_post.0 and resid_post.1, are edited at once with
x' = x + sum_j s (c'_j - c_j) f_j, c = relu(x E^T / s + b): the hooks read x as it arrives, so the second layer's features
are read from the stream the first edit made. KL divergences are in nats, per position.
"""
import argparse
import hashlib
import json
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parents[2]
F, T, SCALE = 6, 15, 1.75


def layers_of(model):
    inner = model.transformer if hasattr(model, "transformer") else getattr(model, "gpt_neox", None) or model.model
    return inner.h if hasattr(inner, "h") else inner.layers


def codes(dictionary, x):
    return torch.relu(x @ dictionary["encoder"].T / SCALE + dictionary["bias"])


class Editor:
    """Hooks the layers' outputs; with edits it changes them, without it only remembers them."""

    def __init__(self, model, dictionaries):
        self.model, self.dictionaries = model, dictionaries
        self.features, self.target, self.seen, self.done, self.norms = [], None, {}, {}, []

    def hook(self, layer):
        def change(_module, _inputs, output):
            x = output[0] if isinstance(output, tuple) else output
            dictionary = self.dictionaries[layer]
            c = codes(dictionary, x[0])
            self.seen[layer] = c.clone()
            new = c.clone()
            for f in (f for f in self.features if f["layer"] == layer):
                j, op = f["index"], f["operation"]
                for t in f["positions"]:
                    new[t, j] = {"ablate": lambda: 0.0, "scale": lambda: op.get("factor") * c[t, j], "set": lambda: op.get("value"),
                                 "replace_from_target": lambda: self.target[layer][t, j]}[op["kind"]]()
            delta = SCALE * (new - c) @ dictionary["decoder"]
            self.done[layer] = new
            self.norms.append(delta.norm(dim=-1).mean().item())
            y = x + delta[None]
            return (y, *output[1:]) if isinstance(output, tuple) else y
        return change

    def run(self, ids, features=(), target=None):
        self.features, self.target, self.norms, self.seen, self.done = list(features), target, [], {}, {}
        handles = [layers_of(self.model)[layer].register_forward_hook(self.hook(layer)) for layer in self.dictionaries]
        with torch.no_grad():
            logits = self.model(torch.tensor([ids]), use_cache=False).logits[0]
        for handle in handles:
            handle.remove()
        return torch.log_softmax(logits.double(), dim=-1)


def kl(p, q):
    return (p.exp() * (p - q)).sum(dim=-1).tolist()


def fixture(folder):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    d, vocab = model.config.hidden_size, model.config.vocab_size
    dictionaries = {}
    for layer in (0, 1):
        e, f = torch.randn(F, d), torch.randn(F, d)
        dictionaries[layer] = {"encoder": e / e.norm(dim=1, keepdim=True), "decoder": f / f.norm(dim=1, keepdim=True), "bias": -0.02 * torch.rand(F)}
    base, target = torch.randint(0, vocab, (T,)).tolist(), torch.randint(0, vocab, (T,)).tolist()
    operations = [{"kind": "ablate"}, {"kind": "scale", "factor": -2.5}, {"kind": "set", "value": 0.5}, {"kind": "replace_from_target"}]
    features = [{"layer": layer, "index": j, "operation": operations[(j + layer) % 4], "positions": list(range(T)) if j % 2 else [t for t in range(T) if (t + j) % 3]}
                for layer in (0, 1) for j in range(F)]
    editor = Editor(model, dictionaries)
    log_base = editor.run(base)
    log_target = editor.run(target)
    in_target = dict(editor.seen)
    log_patched = editor.run(base, features, in_target)
    return {
        "producers": {"torch": torch.__version__, "transformers": transformers.__version__},
        "model": folder.name, "weightsSha256": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        "inputScale": SCALE, "base": base, "target": target,
        "dictionaries": [{name: tensor.tolist() for name, tensor in one.items()} for one in dictionaries.values()],
        "features": [{**f, "before": editor.seen[f["layer"]][:, f["index"]].tolist(), "after": editor.done[f["layer"]][:, f["index"]].tolist()} for f in features],
        "klFromBase": kl(log_patched, log_base), "klFromTarget": kl(log_patched, log_target), "klBaseFromTarget": kl(log_base, log_target),
        "lastLogProbs": log_patched[-1].tolist(), "editMagnitude": sum(editor.norms),
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="*", type=Path, default=[])
    parser.add_argument("--out", type=Path, default=ROOT / "test/fixtures/patch")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for folder in [ROOT / "test/fixtures/lm" / name for name in ("neox-serial", "llama-gqa", "gpt2-plain")] + args.models:
        rounded = json.loads(json.dumps(fixture(folder)), parse_float=lambda text: float(f"{float(text):.9g}"))
        (args.out / f"{folder.name}.json").write_text(json.dumps(rounded) + "\n")


main()
