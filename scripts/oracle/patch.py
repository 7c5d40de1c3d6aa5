"""Writes test/fixtures/patch/<model>.json: one causal patch of a model by PyTorch hooks on Hugging Face transformers.

    python scripts/oracle/patch.py [--models FOLDER ...] [--out test/fixtures/patch]

By default the random models of test/fixtures/lm; a further folder's fixture is compared where the folder is present and has
the same weights. Features of two random dictionaries, at resid_post.0 and resid_post.1, are edited at once with
x' = x + sum_j s (c'_j - c_j) f_j, c = relu(x E^T / s + b): the hooks read x as it arrives, so the second layer's features
are read from the stream the first edit made. KL divergences are in nats, per position.

`batch` holds several interventions on prompts of several lengths (run here one by one, unpadded): an autoencoder, one that keeps
its k largest codes, a transcoder with a linear path, and a dictionary that only watches; with the error term removed, what
stands at a position becomes s_out (c' F + b_dec + (x / s_in) S^T).
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


def random_dictionary(d, at, k=None, out_scale=SCALE, skip=False):
    def short(tensor):  # few digits keep the fixture small
        return tensor.mul(1000).round().div(1000)
    e, f = torch.randn(F, d), torch.randn(F, d)
    return {"at": at, "k": k, "inputScale": SCALE, "outputScale": out_scale,
            "encoder": short(e / e.norm(dim=1, keepdim=True)), "decoder": short(f / f.norm(dim=1, keepdim=True)),
            "bias": short(0.05 * torch.randn(F)), "decoderBias": short(0.1 * torch.randn(d)),
            # The linear path is the outer product of two vectors.
            "skipLeft": short(torch.randn(d) / d) if skip else None, "skipRight": short(torch.randn(d)) if skip else None}


def sparse_codes(dictionary, x):
    c = codes(dictionary, x)
    if dictionary["k"] is not None:
        kept = c.topk(dictionary["k"], dim=-1)
        c = torch.zeros_like(c).scatter(-1, kept.indices, kept.values)
    return c


def new_codes(edits, c, in_target):
    new = c.clone()
    for edit in edits:
        j, op = edit["index"], edit["operation"]
        for t in edit["positions"]:
            new[t, j] = {"ablate": lambda: 0.0, "scale": lambda: op["factor"] * c[t, j], "set": lambda: op["value"], "add": lambda: c[t, j] + op["value"],
                         "ablate_to_mean": lambda: op["mean"], "replace_from_target": lambda: in_target[t, j]}[op["kind"]]()
    return new


def edited_run(model, ids, dictionaries, edits=(), error="keep", in_target=None):
    """Log-probabilities [T, V], codes by dictionary as they were read, and the norms of the edits summed over points [T]."""
    seen, norms, handles = {}, torch.zeros(len(ids)), []

    def hook(name):
        dictionary = dictionaries[name]

        def change(_module, inputs, output):
            y = (output[0] if isinstance(output, tuple) else output)[0]
            x = inputs[0][0] if dictionary["at"][0] == "mlp" else y
            c = sparse_codes(dictionary, x)
            seen[name] = c
            mine = [edit for edit in edits if edit["dictionary"] == name]
            new = new_codes(mine, c, None if in_target is None else in_target[name])
            changed = y + dictionary["outputScale"] * (new - c) @ dictionary["decoder"]
            if error == "remove":
                whole = new @ dictionary["decoder"] + dictionary["decoderBias"]
                if dictionary["skipLeft"] is not None:
                    whole = whole + (x / dictionary["inputScale"]) @ torch.outer(dictionary["skipLeft"], dictionary["skipRight"]).T
                for t in {t for edit in mine for t in edit["positions"]}:
                    changed[t] = dictionary["outputScale"] * whole[t]
            norms.add_((changed - y).norm(dim=-1))
            return (changed[None], *output[1:]) if isinstance(output, tuple) else changed[None]
        return change

    for name, dictionary in dictionaries.items():
        kind, layer = dictionary["at"]
        module = layers_of(model)[layer]
        handles.append((module.mlp if kind == "mlp" else module).register_forward_hook(hook(name)))
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    return torch.log_softmax(logits.double(), dim=-1), seen, norms


def batch_fixture(model, vocab, d):
    last = model.config.num_hidden_layers - 1
    dictionaries = {"plain": random_dictionary(d, ("layer", 0)), "transcoder": random_dictionary(d, ("mlp", 1), out_scale=0.6, skip=True),
                    "largest": random_dictionary(d, ("layer", 1), k=3), "watched": random_dictionary(d, ("layer", last), k=2)}
    prompts = [torch.randint(0, vocab, (length,)).tolist() for length in (15, 9, 12, 15)]
    pair = torch.randint(0, vocab, (2,)).tolist()

    def edits(prompt, *wanted):
        length = len(prompts[prompt])
        return [{"dictionary": name, "index": j, "operation": op, "positions": [t for t in range(length) if (t + i) % 3]} for i, (name, j, op) in enumerate(wanted)]

    interventions = [
        (0, 3, "keep", edits(0, ("plain", 0, {"kind": "add", "value": 0.8}), ("plain", 1, {"kind": "replace_from_target"}), ("plain", 2, {"kind": "ablate_to_mean", "mean": 0.3}))),
        (1, None, "remove", edits(1, ("plain", 3, {"kind": "set", "value": 1.1}), ("plain", 4, {"kind": "ablate"}))),
        (2, None, "remove", edits(2, ("transcoder", 0, {"kind": "add", "value": 0.5}), ("transcoder", 5, {"kind": "ablate_to_mean", "mean": 0.2}))),
        (0, 3, "remove", edits(0, ("plain", 5, {"kind": "scale", "factor": 3}), ("largest", 1, {"kind": "replace_from_target"}))),
        (1, None, "keep", edits(1, ("transcoder", 2, {"kind": "set", "value": 2}), ("largest", 0, {"kind": "ablate"}))),
        (2, None, "remove", edits(2, ("largest", 2, {"kind": "scale", "factor": 1}))),
    ]
    results = []
    for prompt, target, error, wanted in interventions:
        base, seen, _ = edited_run(model, prompts[prompt], dictionaries)
        there = (None, None) if target is None else edited_run(model, prompts[target], dictionaries)[:2]
        patched, after, norms = edited_run(model, prompts[prompt], dictionaries, wanted, error, there[1])
        following = torch.tensor(prompts[prompt][1:])
        loss = [-run[:-1].gather(1, following[:, None])[:, 0] for run in (base, patched)]
        results.append({
            "prompt": prompt, "target": target, "error": error, "features": wanted,
            "klFromBase": kl(patched, base), "klFromTarget": None if target is None else kl(patched, there[0]),
            "logitDifference": (patched[:, pair[0]] - patched[:, pair[1]]).tolist(), "baseLogitDifference": (base[:, pair[0]] - base[:, pair[1]]).tolist(),
            "lossChange": (loss[1] - loss[0]).tolist(), "editNorms": norms.tolist(),
            "watched": [{"before": seen["watched"][:, j].tolist(), "after": after["watched"][:, j].tolist()} for j in range(F)],
        })
    listed = {name: {key: value.tolist() if torch.is_tensor(value) else value for key, value in one.items()} for name, one in dictionaries.items()}
    return {"prompts": prompts, "pair": pair, "dictionaries": listed, "interventions": results}


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
        "batch": batch_fixture(model, vocab, d),
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
