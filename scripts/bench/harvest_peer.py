"""The peer of harvest.ts: Hugging Face transformers (PyTorch, CPU, float32) computing the residual stream after every layer.

    python scripts/bench/harvest_peer.py MODEL_FOLDER IDS_FILE ROWS COLS THREADS

IDS_FILE holds int32 token ids [batches, ROWS, COLS]. Prints one JSON line when ready, then, for every line on standard input,
runs all batches once and prints one JSON line with the wall and CPU seconds taken.
"""

import json
import sys
import time

import numpy as np
import torch
import transformers
from transformers import AutoModel

folder, ids_file, rows, cols, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
torch.set_num_threads(threads)
# The base model: no unembedding, which our side does not compute either. Attention is the library's default (SDPA).
model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
ids = torch.from_numpy(np.fromfile(ids_file, dtype=np.int32).reshape(-1, rows, cols).astype(np.int64))


def once():
    started, cpu = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        for batch in ids:
            states = model(input_ids=batch, output_hidden_states=True, use_cache=False).hidden_states
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}, states


def norms(states):
    """Norms of the streams after 0..L-1 layers (the last one has the final norm applied), to show both sides compute the same."""
    return [float(torch.linalg.vector_norm(state.double())) for state in states[:-1]]


_, states = once()
versions = {"transformers": transformers.__version__, "torch": torch.__version__}
print(json.dumps({"ready": True, "norms": norms(states), **versions}), flush=True)
for _ in sys.stdin:
    print(json.dumps(once()[0]), flush=True)
