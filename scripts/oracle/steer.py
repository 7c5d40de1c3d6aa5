"""Writes test/fixtures/steer/<model>.json: what Hugging Face transformers writes greedily, with its key-value cache, while PyTorch
hooks edit features of dictionaries at every step.

    python scripts/oracle/steer.py [--models FOLDER ...] [--out test/fixtures/steer]

By default three of the random models of test/fixtures/generate. Three random dictionaries: an autoencoder after layer 0, one after layer 1 that
keeps its k largest codes, and a transcoder over the first MLP. x' = x + sum_j s (c'_j - c_j) f_j at positions from `from` on;
each hook reads x as it arrives, edited by the ones before. Prompts are drawn until no greedy choice is nearer than 1e-4 nats.
"""
import argparse
import hashlib
import json
from pathlib import Path

import torch
import transformers
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parents[2]
F, COUNT = 6, 24
OPERATIONS = [{"kind": "add", "value": 0.8}, {"kind": "set", "value": 1.5}, {"kind": "scale", "factor": -2}, {"kind": "ablate"}]


def layers_of(model):
    inner = model.transformer if hasattr(model, "transformer") else getattr(model, "gpt_neox", None) or model.model
    return inner.h if hasattr(inner, "h") else inner.layers


def dictionary(at, d, k=None, in_scale=1.0, out_scale=1.0):
    def short(tensor):  # few digits keep the fixture small
        return tensor.mul(1000).round().div(1000)
    e, f = torch.randn(F, d), torch.randn(F, d)
    return {"at": at, "k": k, "inputScale": in_scale, "outputScale": out_scale, "bias": short(0.1 * torch.randn(F)),
            "encoder": short(e / e.norm(dim=1, keepdim=True)), "decoder": short(f / f.norm(dim=1, keepdim=True))}


def codes(one, x):
    c = torch.relu(x @ one["encoder"].T / one["inputScale"] + one["bias"])
    if one["k"] is None:
        return c
    kept = torch.zeros_like(c)
    places = c.topk(one["k"], dim=-1).indices
    return kept.scatter(-1, places, c.gather(-1, places))


def changed(operation, c):
    value = operation.get("value", operation.get("factor"))
    return {"add": lambda: c + value, "set": lambda: torch.full_like(c, value or 0), "scale": lambda: value * c, "ablate": lambda: torch.zeros_like(c)}[operation["kind"]]()


class Steerer:
    def __init__(self, model, dictionaries, features, first):
        self.dictionaries, self.features, self.first, self.position = dictionaries, features, first, 0
        layers = layers_of(model)
        self.handles = [
            layers[0].register_forward_pre_hook(self.arrive, with_kwargs=True),
            layers[0].mlp.register_forward_hook(self.hook("transcoder", reads_input=True)),
            layers[0].register_forward_hook(self.hook("plain")),
            layers[1].register_forward_hook(self.hook("largest")),
        ]

    def arrive(self, _module, args, kwargs):
        hidden = args[0] if args else kwargs["hidden_states"]
        self.start, self.position = self.position, self.position + hidden.shape[1]

    def hook(self, name, reads_input=False):
        def change(_module, inputs, output):
            y = output[0] if isinstance(output, tuple) else output
            x, one = inputs[0] if reads_input else y, self.dictionaries[name]
            c = codes(one, x)
            new = c.clone()
            for f in (f for f in self.features if f["dictionary"] == name):
                new[..., f["index"]] = changed(f["operation"], c[..., f["index"]])
            here = (torch.arange(y.shape[1]) + self.start >= self.first)[None, :, None]
            y = y + here * (one["outputScale"] * (new - c) @ one["decoder"])
            return (y, *output[1:]) if isinstance(output, tuple) else y
        return change

    def remove(self):
        for handle in self.handles:
            handle.remove()


def greedy(model, prompt):
    ids = torch.tensor([prompt])
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=COUNT, do_sample=False, use_cache=True, eos_token_id=None, pad_token_id=0,
        bos_token_id=None, return_dict_in_generate=True, output_logits=True)
    new = out.sequences[0, len(prompt):].tolist()
    logprobs = torch.log_softmax(torch.stack(out.logits)[:, 0].double(), -1)
    best = logprobs.topk(2)[0]
    return new, [float(logprobs[i, t]) for i, t in enumerate(new)], float((best[:, 0] - best[:, 1]).min())


def fixture(folder):
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    d, vocab = model.config.hidden_size, model.config.vocab_size
    dictionaries = {"plain": dictionary("resid_post.0", d, in_scale=1.25, out_scale=1.25), "largest": dictionary("resid_post.1", d, k=2),
                    "transcoder": dictionary("mlp_in.0", d, out_scale=1.5)}
    cases = []
    for i in range(6):
        features = [{"dictionary": name, "index": j, "operation": OPERATIONS[(i + j + n) % 4]}
                    for n, name in enumerate(dictionaries) if i < 3 and n == i or i >= 3 for j in range(F) if (i + j) % 3 or i < 3]
        while True:
            prompt = torch.randint(0, vocab, (6,)).tolist()
            first = 0 if i % 2 else len(prompt) - 1
            unsteered, _, _ = greedy(model, prompt)
            steerer = Steerer(model, dictionaries, features, first)
            ids, logprobs, gap = greedy(model, prompt)
            steerer.remove()
            if gap > 1e-4 and ids != unsteered:
                break
        print(folder.name, i, "nearest choice", gap)
        cases.append({"prompt": prompt, "from": first, "features": features, "ids": ids, "logprobs": [round(x, 7) for x in logprobs]})
    return {
        "producers": {"torch": torch.__version__, "transformers": transformers.__version__},
        "model": folder.name, "weightsSha256": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        "dictionaries": {name: {key: value.tolist() if torch.is_tensor(value) else value for key, value in one.items()} for name, one in dictionaries.items()},
        "cases": cases,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", type=Path, default=[])
    parser.add_argument("--out", type=Path, default=ROOT / "test/fixtures/steer")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for folder in [ROOT / "test/fixtures/generate" / name for name in ("neox-10", "llama-16", "gpt2-8")] + args.models:
        rounded = json.loads(json.dumps(fixture(folder)), parse_float=lambda text: float(f"{float(text):.9g}"))
        (args.out / f"{folder.name}.json").write_text(json.dumps(rounded) + "\n")


main()
