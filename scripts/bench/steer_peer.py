"""The other side of steer.ts: Hugging Face `generate` with a forward hook that clamps features. One JSON line per line on stdin."""
import json
import logging
import sys
import time

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM

logging.getLogger("transformers").setLevel(logging.ERROR)
transformers.utils.logging.disable_progress_bar()
folder, scratch = sys.argv[1:3]
prompt, written, rows, threads, layer, chosen, k = map(int, sys.argv[3:10])
value = float(sys.argv[10])
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
ids = torch.from_numpy(np.fromfile(f"{scratch}/ids.bin", dtype=np.int32).astype(np.int64).reshape(rows, -1))[:, :prompt]
matrix = torch.from_numpy(np.fromfile(f"{scratch}/dictionary.bin", dtype=np.float32).reshape(-1, model.config.hidden_size))
few = matrix[:chosen].clone()
inner = model.transformer if hasattr(model, "transformer") else getattr(model, "gpt_neox", None) or model.model
layers = inner.h if hasattr(inner, "h") else inner.layers


def clamp(kind):
    def hook(_module, _inputs, output):
        y = output[0] if isinstance(output, tuple) else output
        x = y[:, -1:]  # the prompt's last position, then each new one
        if kind == "steered":
            c = torch.relu(x @ few.T)
        else:
            codes = torch.relu(x @ matrix.T)
            c = torch.where(codes >= codes.topk(k, dim=-1).values[..., -1:], codes, 0.0)[..., :chosen]
        edited = torch.cat([y[:, :-1], x + (value - c) @ few], 1)
        return (edited, *output[1:]) if isinstance(output, tuple) else edited
    return hook


def write(batch):
    out = model.generate(batch, attention_mask=torch.ones_like(batch), max_new_tokens=written, min_new_tokens=written, do_sample=False, use_cache=True, pad_token_id=0, eos_token_id=None)
    return out[:, prompt:].tolist()


def timed(kind):
    handle = layers[layer].register_forward_hook(clamp(kind)) if kind != "plain" else None
    started = time.perf_counter()
    first = write(ids[:1])
    between = time.perf_counter()
    write(ids)
    ended = time.perf_counter()
    if handle is not None:
        handle.remove()
    return {"one": between - started, "rows": ended - between, "ids": first[0]}


with torch.no_grad():
    timed("steered")
    print(json.dumps({"transformers": transformers.__version__, "torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps(timed(line.strip())), flush=True)
