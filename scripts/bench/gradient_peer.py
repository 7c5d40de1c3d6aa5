"""PyTorch's side of gradient.ts: a run forward, and one forward and backward to the embedding without weight gradients.

    python scripts/bench/gradient_peer.py MODEL_FOLDER ROWS COLS
"""

import statistics
import sys
import time

import torch
from transformers import AutoModel

folder, rows, cols = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
for parameter in model.parameters():
    parameter.requires_grad_(False)
ids = torch.randint(0, model.config.vocab_size, (rows, cols))
embedded = model.get_input_embeddings()(ids)
cotangent = torch.rand(rows, cols, model.config.hidden_size)


def forward():
    with torch.no_grad():
        model(inputs_embeds=embedded, use_cache=False)


def gradient():
    leaf = embedded.clone().requires_grad_(True)
    torch.autograd.grad((model(inputs_embeds=leaf, use_cache=False).last_hidden_state * cotangent).sum(), leaf)


def median(run, times=7):
    run()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return 1000 * statistics.median(seconds)


a, b = median(forward), median(gradient)
print(f"torch {torch.__version__}, one thread: {rows} x {cols} tokens: forward {a:.1f} ms, gradient {b:.1f} ms, ratio {b / a:.2f}")
