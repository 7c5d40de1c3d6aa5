"""Trains the bundled demo model: a GPT-NeoX decoder of 3.4 million parameters, on CPU, for a given time.

    node scripts/corpus.ts --out FOLDER
    python scripts/oracle/train_tokenizer.py --corpus FOLDER --out models/demo
    python scripts/oracle/train_demo.py --corpus FOLDER --tokenizer models/demo --out models/demo --state STATE --minutes 78

Rows are 256 tokens: `<|endoftext|>`, then 255 tokens of documents joined by `<|endoftext|>`. A batch takes a fixed share of
its rows from generated text and the rest from installed text; each pool is reshuffled when it runs out. AdamW,
linear warm-up, then a cosine over the time, not over the steps: a slow machine takes fewer steps. STATE is a checkpoint
written every few minutes (temporary name, then rename); with an existing STATE the run goes on where it stopped, and the
clock with it. Reports held-out loss and indirect-object accuracy as it goes.
"""
import argparse
import json
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

EOS = 0
ROW = 256


def config() -> GPTNeoXConfig:
    return GPTNeoXConfig(
        vocab_size=4096, hidden_size=192, num_hidden_layers=4, num_attention_heads=6, intermediate_size=768,
        hidden_act="gelu", rotary_pct=0.25, rotary_emb_base=10000, max_position_embeddings=ROW, use_parallel_residual=True,
        tie_word_embeddings=False, layer_norm_eps=1e-5, initializer_range=0.02, bos_token_id=EOS, eos_token_id=EOS,
        attention_dropout=0.0, hidden_dropout=0.0, use_cache=True)


def tokenize(tokenizer: Tokenizer, path: Path) -> dict[str, np.ndarray]:
    """Token rows [N, 256] of each pool, 'installed' and 'generated'."""
    texts: dict[str, list[str]] = {"installed": [], "generated": []}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            texts["generated" if row["source"].startswith("generated") else "installed"].append(row["text"])
    rows = {}
    for pool, documents in texts.items():
        stream: list[np.ndarray] = []
        for start in range(0, len(documents), 2000):
            for encoded in tokenizer.encode_batch(documents[start:start + 2000]):
                stream.append(np.asarray([EOS, *encoded.ids], dtype=np.int16))
        flat = np.concatenate(stream)[1:]  # the first EOS is the row's own
        flat = flat[: len(flat) // (ROW - 1) * (ROW - 1)].reshape(-1, ROW - 1)
        rows[pool] = np.concatenate([np.full((len(flat), 1), EOS, dtype=np.int16), flat], axis=1)
    return rows


class Pool:
    """Rows without replacement, reshuffled at the end of each pass."""

    def __init__(self, rows: np.ndarray, seed: int):
        self.rows, self.seed, self.taken = rows, seed, 0

    def take(self, count: int) -> np.ndarray:
        picked = []
        for _ in range(count):
            done, at = divmod(self.taken, len(self.rows))
            if at == 0 or not hasattr(self, "order"):
                self.order = np.random.default_rng([self.seed, done]).permutation(len(self.rows))
            picked.append(self.order[at])
            self.taken += 1
        return self.rows[picked]


def loss_of(model: GPTNeoXForCausalLM, rows: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats per predicted token."""
    return losses_of(model, rows).mean()


def losses_of(model: GPTNeoXForCausalLM, rows: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each predicted token, flat, in nats."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(rows, use_cache=False).logits
    return F.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]).float(), rows[:, 1:].reshape(-1), reduction="none")


@torch.no_grad()
def ioi_accuracy(model: GPTNeoXForCausalLM, tokenizer: Tokenizer, prompts: list[dict]) -> dict[str, float]:
    """Share of prompts where the right name's logit beats the other's, and where it beats all tokens."""
    right, top, unseen = [], [], []
    for start in range(0, len(prompts), 100):
        batch = prompts[start:start + 100]
        ids = [[EOS, *tokenizer.encode(p["prompt"]).ids] for p in batch]
        longest = max(map(len, ids))
        padded = torch.tensor([row + [EOS] * (longest - len(row)) for row in ids])
        logits = model(padded, use_cache=False).logits
        for i, p in enumerate(batch):
            at = logits[i, len(ids[i]) - 1].float()
            io, s = tokenizer.encode(p["answer"]).ids[0], tokenizer.encode(p["distractor"]).ids[0]
            right.append(bool(at[io] > at[s]))
            top.append(int(at.argmax()) == io)
            unseen.append(p["unseenNames"])
    pick = np.asarray(unseen)
    return {"unseen names": float(np.asarray(right)[pick].mean()), "seen names": float(np.asarray(right)[~pick].mean()),
            "top 1": float(np.mean(top))}


def export(model: GPTNeoXForCausalLM, folder: Path) -> None:
    """config.json and float16 model.safetensors, as Hugging Face writes them."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().to(torch.float16).contiguous() for name, tensor in model.state_dict().items()}
    temporary = folder / "model.safetensors.tmp"
    save_file(weights, str(temporary), metadata={"format": "pt"})
    os.replace(temporary, folder / "model.safetensors")
    described = model.config.to_dict()
    kept = ("attention_bias", "bos_token_id", "eos_token_id", "hidden_act", "hidden_size", "initializer_range", "intermediate_size",
            "layer_norm_eps", "max_position_embeddings", "model_type", "num_attention_heads", "num_hidden_layers",
            "tie_word_embeddings", "transformers_version", "use_parallel_residual", "vocab_size")
    description = {key: described[key] for key in kept}
    # rotary_pct and rotary_emb_base are the names that all releases read; the newest ones also write rope_parameters.
    description.update(architectures=["GPTNeoXForCausalLM"], torch_dtype="float16", rotary_pct=0.25, rotary_emb_base=10000)
    temporary = folder / "config.json.tmp"
    temporary.write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")
    os.replace(temporary, folder / "config.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder written by scripts/corpus.ts")
    parser.add_argument("--tokenizer", type=Path, default=Path("models/demo"))
    parser.add_argument("--out", type=Path, required=True, help="folder for config.json and model.safetensors")
    parser.add_argument("--state", type=Path, required=True, help="checkpoint file; the run resumes from it if it exists")
    parser.add_argument("--minutes", type=float, default=78, help="wall-clock minutes of training")
    parser.add_argument("--rows", type=int, default=8, help="rows of 256 tokens in a batch")
    parser.add_argument("--generated-rows", type=float, default=0.38, help="share of rows from generated text")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--warmup-steps", type=int, default=200)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--recipient-weight", type=float, default=3, help="weight in the loss of a first name right after \" to\" or \" for\"; all other tokens have 1")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--report-seconds", type=float, default=180, help="between reports and checkpoints")
    parser.add_argument("--compile", action="store_true", help="torch.compile (needs a C++ compiler)")
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    tokenizer = Tokenizer.from_file(str(options.tokenizer / "tokenizer.json"))
    train = tokenize(tokenizer, options.corpus / "train.jsonl")
    held = tokenize(tokenizer, options.corpus / "heldout.jsonl")
    prompts = [json.loads(line) for line in open(options.corpus / "ioi.jsonl", encoding="utf-8")][:400]
    print({f"train {k}": v.shape[0] for k, v in train.items()} | {f"held-out {k}": v.shape[0] for k, v in held.items()}, "rows", flush=True)
    pools = {name: Pool(rows, options.seed + i) for i, (name, rows) in enumerate(train.items())}

    model = GPTNeoXForCausalLM(config()).train()
    for name, parameter in model.named_parameters():  # writing into the residual: smaller, for depth
        if name.endswith(("attention.dense.weight", "dense_4h_to_h.weight")):
            torch.nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * 4))
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    plain = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": options.weight_decay}, {"params": plain, "weight_decay": 0.0}],
                                  lr=options.lr, betas=(0.9, 0.95), fused=True)
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)

    step, spent, mean_loss, carry = 0, 0.0, None, 0.0
    if options.state.exists():
        state = torch.load(options.state, weights_only=False)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent, mean_loss, carry = state["step"], state["spent"], state["mean_loss"], state["carry"]
        for name, pool in pools.items():
            pool.taken = state["taken"][name]
        print(f"resumed at step {step}, {spent:.0f} s", flush=True)
    forward = torch.compile(losses_of) if options.compile else losses_of
    people = [json.loads(line)["name"] for line in open(options.corpus / "people.jsonl", encoding="utf-8")]
    is_name, is_giving = torch.zeros(4096, dtype=torch.bool), torch.zeros(4096, dtype=torch.bool)
    for words, table in (([" " + name for name in people], is_name), ([" to", " for"], is_giving)):
        for word in words:
            (token,) = tokenizer.encode(word).ids
            table[token] = True

    def save() -> None:
        temporary = options.state.with_suffix(".tmp")
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "spent": spent, "mean_loss": mean_loss,
                    "carry": carry, "taken": {name: pool.taken for name, pool in pools.items()}}, temporary)
        os.replace(temporary, options.state)
        export(model, options.out)

    def report() -> None:
        model.eval()
        with torch.no_grad():
            losses = {name: float(np.mean([loss_of(model, torch.from_numpy(rows[i:i + 16].astype(np.int64))) for i in range(0, 96, 16)]))
                      for name, rows in held.items()}
        accuracy = ioi_accuracy(model, tokenizer, prompts)
        model.train()
        print(json.dumps({"step": step, "tokens": step * options.rows * ROW, "seconds": round(spent), "lr": optimizer.param_groups[0]["lr"],
                          "train": round(mean_loss, 4), **{f"held-out {k}": round(v, 4) for k, v in losses.items()}, **accuracy}), flush=True)

    total = options.minutes * 60
    started = time.monotonic() - spent
    reported = time.monotonic()
    while spent < total:
        progress = spent / total
        lr = options.lr * min(1.0, (step + 1) / options.warmup_steps) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimizer.param_groups:
            group["lr"] = lr
        carry += options.rows * options.generated_rows  # a whole number of rows each step, the right share on average
        generated = int(carry)
        carry -= generated
        batch = np.concatenate([pools["generated"].take(generated), pools["installed"].take(options.rows - generated)])
        rows = torch.from_numpy(batch.astype(np.int64))
        losses = forward(model, rows)
        weights = 1 + (options.recipient_weight - 1) * (is_name[rows[:, 1:]] & is_giving[rows[:, :-1]]).float().reshape(-1)
        ((losses * weights).sum() / weights.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        value = float(losses.detach().mean())
        if not math.isfinite(value):
            raise SystemExit(f"loss became {value} at step {step}; lower --lr")
        mean_loss = value if mean_loss is None else 0.98 * mean_loss + 0.02 * value
        step += 1
        spent = time.monotonic() - started
        if time.monotonic() - reported > options.report_seconds:
            report()
            save()
            reported = time.monotonic()
            spent = time.monotonic() - started
    report()
    save()
    print("done", flush=True)


if __name__ == "__main__":
    main()
