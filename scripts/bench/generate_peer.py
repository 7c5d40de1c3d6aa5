"""The peer of generate.ts: Hugging Face transformers (PyTorch, CPU, float32) writing greedily with its key-value cache.

    python scripts/bench/generate_peer.py MODEL_FOLDER IDS_FILE PROMPT SHORT WRITTEN ROWS THREADS

IDS_FILE holds ROWS rows of PROMPT int32 token ids. Prints one JSON line when ready, then, for every line on standard input, one
with the seconds of: `prefill`, reading one prompt up to the logits of its last token; `decode` and `decodeRows`, WRITTEN - 1
further tokens after SHORT ones for one row and for all; and `bandwidth`, bytes a second of summing 512 MB.
"""

import json
import sys
import time

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM

folder, ids_file, prompt, short, written, rows, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:8])
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
ids = torch.from_numpy(np.fromfile(ids_file, dtype=np.int32).reshape(rows, prompt).astype(np.int64))
memory = torch.ones(128 * 2**20)


def seconds(run):
    started = time.perf_counter()
    result = run()
    return time.perf_counter() - started, result


def write(batch, count):
    return model.generate(batch, attention_mask=torch.ones_like(batch), max_new_tokens=count, min_new_tokens=count, do_sample=False, use_cache=True, pad_token_id=0)


def once():
    with torch.inference_mode():
        prefill, _ = seconds(lambda: model(input_ids=ids[:1], use_cache=True, logits_to_keep=1))
        timing = {"prefill": prefill}
        for name, batch in (("decode", ids[:1, :short]), ("decodeRows", ids[:, :short])):
            first, _ = seconds(lambda: write(batch, 1))
            whole, out = seconds(lambda: write(batch, written))
            timing[name] = whole - first
            timing["ids"] = out[0, short:].tolist()
        timing["bandwidth"] = 4 * memory.numel() / min(seconds(memory.sum)[0] for _ in range(3))
    return timing


once()
print(json.dumps({"ready": True, "transformers": transformers.__version__, "torch": torch.__version__}), flush=True)
for _ in sys.stdin:
    print(json.dumps(once()), flush=True)
