"""The peer of circuit.ts: the same ablations in PyTorch (CPU, float32), on Hugging Face transformers.

    python scripts/bench/circuit_peer.py MODEL_FOLDER DATA_FOLDER PLAN_JSON

DATA_FOLDER holds encoder.bin [F, D] and bias.bin [F] of the source dictionary (tied: its decoder is its encoder), target.bin [D],
the target's encoder row (float32), and ids.bin [contexts, T] (int32). The plan says which feature is ablated in which context.
Prints one JSON line when ready, then for every line on standard input the seconds of all ablations and their relative drops:
`layers` runs each context once, keeps the stream behind the source's layer and runs only the layers from there to the target's,
BATCH rows at a time; `hooks` runs the model from its tokens to the target's layer, with a forward hook, BATCH rows at a time.
"""
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM

folder, data, plan = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
torch.set_num_threads(plan["threads"])
net = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval().gpt_neox
D, source, end = net.config.hidden_size, plan["source"], plan["target"]
encoder, bias, row = (torch.from_numpy(np.fromfile(data / f"{name}.bin", dtype=np.float32)) for name in ("encoder", "bias", "target"))
encoder = encoder.reshape(-1, D)
ids = torch.from_numpy(np.fromfile(data / "ids.bin", dtype=np.int32).reshape(plan["contexts"], -1).astype(np.int64))
EPSILON = 1e-10


def target_of(x):
    return torch.relu(x[:, -1] @ row + plan["targetBias"])


def without(x, features):
    e = encoder[features]
    c = torch.relu(torch.einsum("btd,bd->bt", x, e) + bias[features][:, None])
    return x - c[..., None] * e[:, None]


def run(x, first):
    """Layers `first` to the target's, of streams x."""
    places = torch.arange(x.shape[1])[None]
    rotary = net.rotary_emb(x, places)
    for layer in net.layers[first:end + 1]:
        out = layer(x, attention_mask=None, position_ids=places, position_embeddings=rotary)
        x = out[0] if isinstance(out, tuple) else out
    return x


def hooked(batch, features):
    """The model without its last layers, from tokens, with the edit in a hook."""
    def edit(_module, _inputs, output):
        tensor = output[0] if isinstance(output, tuple) else output
        changed = without(tensor, features)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed
    handle = net.layers[source].register_forward_hook(edit)
    try:
        return run(net.embed_in(batch), 0)
    finally:
        handle.remove()


def once(what):
    started = time.perf_counter()
    drops = []
    with torch.inference_mode():
        whole = net.embed_in(ids)
        places = torch.arange(ids.shape[1])[None]
        rotary = net.rotary_emb(whole, places)
        for layer in net.layers[:source + 1]:
            out = layer(whole, attention_mask=None, position_ids=places, position_embeddings=rotary)
            whole = out[0] if isinstance(out, tuple) else out
        active = target_of(run(whole, source + 1))
        rows = plan["rows"]
        for at in range(0, len(rows), plan["batch"]):
            part = rows[at:at + plan["batch"]]
            contexts, features = (torch.tensor(column) for column in zip(*part))
            after = target_of(run(without(whole[contexts], features), source + 1) if what == "layers" else hooked(ids[contexts], features))
            drops += ((active[contexts] - after + EPSILON) / (active[contexts] + EPSILON)).tolist()
    return {"seconds": time.perf_counter() - started, "drops": drops}


once("layers")
print(json.dumps({"ready": True, "transformers": transformers.__version__, "torch": torch.__version__}), flush=True)
for line in sys.stdin:
    print(json.dumps(once(line.strip())), flush=True)
