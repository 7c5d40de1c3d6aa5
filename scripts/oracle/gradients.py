"""Gradients by torch.autograd through Hugging Face transformers, for the small random models of test/fixtures/lm.

    python scripts/oracle/gradients.py [--models test/fixtures/lm] [--out test/fixtures/gradients]

NAME.safetensors, for one batch padded on the right: `ids` [B, T], `lengths` [B] int32; for each objective OF (`logits` at the
last real positions, or a hook point): `OF/cotangent`, normal, 0 at padded positions, and `OF/WRT` [B, T, D], the gradient of
sum(cotangent * OF) with respect to the activation at WRT, everything computed in float64 and stored as float32.
"""

import argparse
import json
import pathlib

import numpy as np
import safetensors.numpy
import torch
import transformers
from transformers import AutoModelForCausalLM

from lm_fixtures import branches, final_norm

NAMES = ["neox-parallel", "neox-serial", "gpt2-plain", "gpt2-scaled", "llama-gqa", "llama-tied"]


def run(model, ids, lengths):
    """Every hook point and the last logits, as tensors of one autograd graph."""
    seen = {}
    first = lambda out: out[0] if isinstance(out, tuple) else out
    last = model.config.num_hidden_layers - 1
    hooks = [final_norm(model).register_forward_pre_hook(lambda m, a: seen.__setitem__(f"resid_post.{last}", a[0]))]
    for i, (attention, mlp) in enumerate(branches(model)):
        hooks.append(attention.register_forward_hook(lambda m, a, o, i=i: seen.__setitem__(f"attn_out.{i}", first(o))))
        hooks.append(mlp.register_forward_pre_hook(lambda m, a, i=i: seen.__setitem__(f"mlp_in.{i}", a[0])))
        hooks.append(mlp.register_forward_hook(lambda m, a, o, i=i: seen.__setitem__(f"mlp_out.{i}", first(o))))
    mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
    out = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True, use_cache=False)
    for hook in hooks:
        hook.remove()
    for i, stream in enumerate(out.hidden_states[:-1]):
        seen["embed" if i == 0 else f"resid_post.{i - 1}"] = stream
    seen["logits"] = out.logits[torch.arange(len(ids)), lengths - 1]
    return seen


def fixture(name, source, out):
    # torch's own epsilon and scale, but no rounding: what is compared is the formula
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float64, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(len(name))
    ids = torch.randint(0, model.config.vocab_size, (2, 6), generator=generator)
    lengths = torch.tensor([6, 4])
    real = (torch.arange(6)[None] < lengths[:, None])[..., None]
    last = model.config.num_hidden_layers - 1
    seen = run(model, ids, lengths)
    tensors = {"ids": ids.int(), "lengths": lengths.int()}
    early = ["embed", "attn_out.0", "mlp_in.0", "mlp_out.0", "resid_post.0"]
    for of, wrt in [("logits", [*early, f"mlp_in.{last}", f"resid_post.{last}"]), (f"mlp_in.{last}", [*early, f"attn_out.{last}"]), ("mlp_out.1", early[:2])]:
        cotangent = torch.randn(seen[of].shape, generator=generator, dtype=torch.float64)
        if of != "logits":
            cotangent = cotangent * real
        tensors[f"{of}/cotangent"] = cotangent
        found = torch.autograd.grad((cotangent * seen[of]).sum(), [seen[at] for at in wrt], retain_graph=True, allow_unused=True)
        for at, gradient in zip(wrt, found):
            tensors[f"{of}/{at}"] = torch.zeros_like(seen[at]) if gradient is None else gradient
    arrays = {k: np.ascontiguousarray((v if v.dtype == torch.int32 else v.float()).detach().numpy()) for k, v in tensors.items()}
    producer = json.dumps({"transformers": transformers.__version__, "torch": torch.__version__})
    safetensors.numpy.save_file(arrays, out / f"{name}.safetensors", metadata={"producer": producer})
    print(name, sum(a.nbytes for a in arrays.values()), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--models", type=pathlib.Path, default=root / "test/fixtures/lm")
    parser.add_argument("--out", type=pathlib.Path, default=root / "test/fixtures/gradients")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        fixture(name, options.models / name, options.out)


if __name__ == "__main__":
    main()
