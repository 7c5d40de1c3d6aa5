"""The peers of train.ts: the same dictionaries trained by PyTorch on the CPU in float32.

    python scripts/bench/train_peer.py KIND VECTORS_FILE STATE_FOLDER D F B THREADS

KIND:
  dl-topk      dictionary_learning's TopKTrainer.update
  sparsify     sparsify's SparseCoder in the loop of its Trainer (fvu loss, parallel gradients removed, torch's Adam)
  dl-standard  dictionary_learning's StandardTrainer.update: L1, but separate encoder and decoder (it has no tied dictionary)
  plain-tied   the loss of src/dictionary/tied.ts in plain PyTorch: neither library has it
VECTORS_FILE holds float32 vectors [n, D], n a multiple of B; STATE_FOLDER the start as float32 files, one a tensor, named as the
training state of ours. Prints one JSON line when ready; then, for every line with a number S on standard input, takes S steps
and prints their seconds and the last step's mean squared error per element.
"""

import json
import os
import sys
import time

import numpy as np
import torch

kind, vectors_file, folder = sys.argv[1:4]
D, F, B, threads = map(int, sys.argv[4:8])
torch.set_num_threads(threads)
torch.manual_seed(0)
vectors = torch.from_numpy(np.fromfile(vectors_file, dtype=np.float32)).reshape(-1, B, D)
settings = json.load(open(os.path.join(folder, "settings.json")))
K, LR = settings["k"], settings["learningRate"]
MANY = 10**6


def start(name, *shape):
    return torch.from_numpy(np.fromfile(os.path.join(folder, name), dtype=np.float32)).reshape(shape)


def dl_topk():
    from dictionary_learning.trainers.top_k import TopKTrainer

    trainer = TopKTrainer(steps=MANY, activation_dim=D, dict_size=F, k=K, layer=0, lm_name="", lr=LR, warmup_steps=settings["warmupSteps"], seed=0, device="cpu")
    ae = trainer.ae
    ae.encoder.weight.data.copy_(start("encoder", F, D))
    ae.encoder.bias.data.copy_(start("encoderBias", F))
    ae.decoder.weight.data.copy_(start("decoder", F, D).T)

    def step(i, x):
        return trainer.update(i + 1, x) / D  # from 1 on: step 0 sets b_dec to the median

    return step


def sparsify():
    os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # its GPU kernels; the other way of its decoder is embedding_bag
    from sparsify import SparseCoder, SparseCoderConfig

    sae = SparseCoder(D, SparseCoderConfig(num_latents=F, k=K))
    sae.encoder.weight.data.copy_(start("encoder", F, D))
    sae.encoder.bias.data.copy_(start("encoderBias", F))
    sae.W_dec.data.copy_(start("decoder", F, D))
    adam = torch.optim.Adam(sae.parameters(), lr=LR)

    def step(i, x):
        for group in adam.param_groups:
            group["lr"] = LR * min(1, (i + 1) / max(1, settings["warmupSteps"]))
        sae.set_decoder_norm_to_unit_norm()
        out = sae(x)
        out.fvu.backward()
        sae.remove_gradient_parallel_to_decoder_directions()
        adam.step()
        adam.zero_grad()
        return (out.sae_out.detach() - x).pow(2).mean().item()

    return step


def dl_standard():
    from dictionary_learning.trainers.standard import StandardTrainer

    # Its squared error is summed over D, ours is the mean: the same balance has D times the penalty.
    trainer = StandardTrainer(steps=MANY, activation_dim=D, dict_size=F, layer=0, lm_name="", lr=LR, l1_penalty=settings["sparsity"] * D, warmup_steps=0, sparsity_warmup_steps=None, seed=0, device="cpu")
    rows = torch.nn.functional.normalize(start("rows", F, D))
    trainer.ae.encoder.weight.data.copy_(rows)
    trainer.ae.encoder.bias.data.copy_(start("bias", F))
    trainer.ae.decoder.weight.data.copy_(rows.T)

    def step(i, x):
        trainer.update(i, x)
        return float("nan")

    return step


def plain_tied():
    rows = torch.nn.Parameter(start("rows", F, D).clone())
    bias = torch.nn.Parameter(start("bias", F).clone())
    adam = torch.optim.Adam([rows, bias], lr=LR)

    def step(_, x):
        adam.zero_grad()
        w = rows / torch.clamp(torch.linalg.vector_norm(rows, dim=-1), 1e-8)[:, None]
        c = torch.relu(torch.nn.functional.linear(x, w, bias))
        mse = (c @ w - x).pow(2).mean()
        (mse + settings["sparsity"] * c.sum(-1).mean()).backward()
        adam.step()
        return mse.item()

    return step


def peak():
    """Best of big products: GFLOP/s."""
    best = 0
    for shape in ((1024, 1024, 1024), (2048, 512, 2048), (2048, 2048, 2048)):
        m, k, n = shape
        a, b = torch.randn(m, k), torch.randn(k, n)
        for _ in range(6):
            began = time.perf_counter()
            a @ b
            best = max(best, 2 * m * k * n / (time.perf_counter() - began) / 1e9)
    return best


step = {"dl-topk": dl_topk, "sparsify": sparsify, "dl-standard": dl_standard, "plain-tied": plain_tied}[kind]()
done = 0
print(json.dumps({"torch": torch.__version__, "peak": peak()}), flush=True)
for line in sys.stdin:
    began = time.perf_counter()
    for _ in range(int(line)):
        mse = step(done, vectors[done % len(vectors)])
        done += 1
    print(json.dumps({"seconds": time.perf_counter() - began, "mse": mse if mse == mse else None}), flush=True)
