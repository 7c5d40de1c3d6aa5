"""Writes test/fixtures/evaluate/: dictionaries for models/demo and what evaluating them gives, by Hugging Face transformers.

    python scripts/oracle/evaluate.py [--out test/fixtures/evaluate]

Text is sampled from the model itself. Directions are principal components of its activations with both signs, so that the
reconstructions are worth something. `cases.safetensors` holds the token ids (as floats) and each case's weights in the form
of DictionaryWeights; `expected.json` the metrics. Activations are replaced by forward hooks that return others; metrics
are computed in float64. One-to-one matching by scipy.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import scipy
import torch
import transformers
from safetensors.numpy import save_file
from scipy.optimize import linear_sum_assignment
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).parents[2]
ROWS, COLS = 4, 32
CASES = [
    # name, read at, write at (None: there), pairs of directions, k, thresholds, scale in, scale out, positions skipped
    ("stream", "resid_post.1", None, 10, None, True, 1.7, 1.7, 0),
    ("branch", "mlp_out.2", None, 8, 3, False, 1.0, 1.0, 1),
    ("transcoder", "resid_pre.1", "mlp_out.1", 8, None, False, 2.0, 0.5, 2),
]


class Hooked:
    """Reads activations at hook points, or puts others in their place."""

    def __init__(self, model):
        self.model, self.layers = model, model.gpt_neox.layers

    def run(self, ids, read=(), replace=None, value=None):
        seen, handles = {}, []

        def out(name):
            def hook(_module, _inputs, output):
                x = output[0] if isinstance(output, tuple) else output
                if name in read:
                    seen[name] = x.detach().clone()
                if name != replace:
                    return None
                return (value, *output[1:]) if isinstance(output, tuple) else value
            return hook

        for i, layer in enumerate(self.layers):
            handles.append(layer.register_forward_hook(out(f"resid_post.{i}")))
            handles.append(layer.mlp.register_forward_hook(out(f"mlp_out.{i}")))
            if f"resid_pre.{i}" in read:
                handles.append(layer.register_forward_pre_hook(lambda _m, args, kwargs, i=i: seen.update({f"resid_pre.{i}": (args[0] if args else kwargs["hidden_states"]).detach().clone()}), with_kwargs=True))
        try:
            with torch.no_grad():
                return self.model(ids).logits, seen
        finally:
            for handle in handles:
                handle.remove()


def directions(x, pairs):
    """Mean and principal components with both signs [2·pairs, D], float64."""
    mean = x.mean(0)
    _, _, components = np.linalg.svd(x - mean, full_matrices=False)
    return mean, np.concatenate([components[:pairs], -components[:pairs]])


def dictionary(case, x, y, rng):
    _, _, output, pairs, _, thresholds, scale_in, scale_out, _ = case
    mean_in, encoder = directions(x / scale_in, pairs)
    bias = -encoder @ mean_in
    if output is None:
        mean_out, decoder = mean_in, encoder + 0.01 * rng.standard_normal(encoder.shape)
    else:
        # Least squares from codes to targets.
        codes = np.maximum(0, x / scale_in @ encoder.T + bias)
        design = np.concatenate([codes, np.ones((len(codes), 1))], 1)
        solution = np.linalg.lstsq(design, y / scale_out, rcond=None)[0]
        decoder, mean_out = solution[:-1], solution[-1]
    made = {"encoder": encoder, "encoder_bias": bias, "decoder": decoder, "decoder_bias": mean_out}
    if thresholds:
        made["threshold"] = 0.05 * rng.random(len(encoder))
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in made.items()}


def read(weights, x, case):
    *_, k, _, scale_in, scale_out, _ = case
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    h = x / scale_in @ w["encoder"].T + w["encoder_bias"]
    c = np.where(h > w.get("threshold", 0), np.maximum(h, 0), 0)
    if k is not None:
        least = np.sort(c, 1)[:, -k][:, None]
        c = np.where(c >= least, c, 0)
    return c, scale_out * (c @ w["decoder"] + w["decoder_bias"])


def reconstruction(x, x_hat):
    norm, norm_hat, product = np.linalg.norm(x, axis=1), np.linalg.norm(x_hat, axis=1), (x * x_hat).sum(1)
    return {
        "norm": norm.mean(), "l2Ratio": (norm_hat / norm).mean(), "cosine": (product / (norm * norm_hat)).mean(),
        "relativeBias": (norm_hat**2).mean() / product.mean(),
    }


def predictions(logits, base, ids, skip):
    q, p = (torch.log_softmax(each.double(), -1)[:, skip:-1] for each in (logits, base))
    ce = -q.gather(-1, ids[:, skip + 1 :, None]).mean().item()
    return ce, (p.exp() * (p - q)).sum(-1).mean().item()


def alike(a, b):
    a, b = (each.astype(np.float64) / np.linalg.norm(each.astype(np.float64), axis=1, keepdims=True) for each in (a, b))
    cosines = a @ b.T
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    matched = cosines[rows, columns]
    return {
        "aToB": {"mmcs": cosines.max(1).mean(), "shareAbove": (cosines.max(1) > 0.9).mean()},
        "bToA": {"mmcs": cosines.max(0).mean(), "shareAbove": (cosines.max(0) > 0.9).mean()},
        "matching": {"pairs": len(rows), "mean": matched.mean(), "shareAbove": (matched > 0.9).mean()},
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "test/fixtures/evaluate")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = AutoModelForCausalLM.from_pretrained(ROOT / "models/demo", dtype=torch.float32, attn_implementation="eager").eval()
    ids = model.generate(torch.zeros(ROWS, 1, dtype=torch.long), do_sample=True, max_new_tokens=COLS - 1, min_new_tokens=COLS - 1, suppress_tokens=[0])
    hooked = Hooked(model)
    tensors, expected = {"ids": ids.numpy().astype(np.float32)}, []
    for case in CASES:
        name, point, output, _, k, _, scale_in, scale_out, skip = case
        written = output or point
        base, taps = hooked.run(ids, read=(point, written))
        D = taps[point].shape[-1]
        x, y = (taps[each][:, skip:].double().numpy().reshape(-1, D) for each in (point, written))
        weights = dictionary(case, x, y, rng)
        c, y_hat = read(weights, x, case)
        replaced = {}
        for label, value in (("spliced", y_hat), ("zero", np.zeros_like(y)), ("mean", np.broadcast_to(y.mean(0), y.shape))):
            full = taps[written].clone()
            full[:, skip:] = torch.from_numpy(np.ascontiguousarray(value)).float().reshape(ROWS, COLS - skip, D)
            replaced[label] = predictions(hooked.run(ids, replace=written, value=full)[0], base, ids, skip)
        original, _ = predictions(base, base, ids, skip)
        spliced, zero, mean = (replaced[label] for label in ("spliced", "zero", "mean"))
        expected.append({
            "name": name, "hookPoint": point, "outputHookPoint": output, "k": k, "inputScale": scale_in, "outputScale": scale_out, "skipPositions": skip,
            "fvu": ((y - y_hat) ** 2).sum() / ((y - y.mean(0)) ** 2).sum(),
            "l0": (c > 0).sum(1).mean(), "aliveShare": (c > 0).any(0).mean(), "aliveShareOverTen": ((c > 0).sum(0) > 10).mean(),
            "reconstruction": reconstruction(y, y_hat),
            "splice": {
                "predictions": ROWS * (COLS - 1 - skip),
                "ceOriginal": original, "ceSpliced": spliced[0], "ceZero": zero[0], "ceMean": mean[0],
                "klSpliced": spliced[1], "klZero": zero[1], "klMean": mean[1],
                "ceRecovered": (zero[0] - spliced[0]) / (zero[0] - original), "ceRecoveredFromMean": (mean[0] - spliced[0]) / (mean[0] - original),
                "klRecovered": (zero[1] - spliced[1]) / zero[1], "klRecoveredFromMean": (mean[1] - spliced[1]) / mean[1],
                "perplexityOriginal": np.exp(original), "perplexitySpliced": np.exp(spliced[0]),
            },
        })
        tensors.update({f"{name}.{key}": value for key, value in weights.items()})
    a, b = tensors["stream.decoder"], tensors["branch.decoder"]
    # Directions of which some are nearly those of another set, in another order.
    near = np.concatenate([a[::-2] + 0.02 * rng.standard_normal(a[::2].shape), b[:5]]).astype(np.float32)
    tensors["near"] = near
    comparisons = [{"a": "stream", "b": "branch", **alike(a, b)}, {"a": "stream", "b": "near", **alike(a, near)}]
    save_file(tensors, out / "cases.safetensors")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__, "scipy": scipy.__version__}
    (out / "expected.json").write_text(json.dumps({"versions": versions, "model": "models/demo", "cases": expected, "comparisons": comparisons}, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main()
