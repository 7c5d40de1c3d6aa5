"""Evaluates the bundled demo model on held-out text.

    python scripts/oracle/eval_demo.py --corpus FOLDER --model models/demo [--json FILE]

FOLDER is what `scripts/corpus.ts --out FOLDER` wrote. Prints
  1. loss in nats per token beside unigram, bigram and trigram models fitted on the training tokens (interpolated modified
     Kneser-Ney, Chen & Goodman 1999), on the same held-out tokens, with the same context cut at the row's start;
  2. indirect-object accuracy on held-out sentences (names never seen in such sentences, and unseen combinations);
  3. whether parentheses are closed: probability that the next token closes one, where one is open and where none is.
The weights are read as float16 and computed in float32.
"""
import argparse
import json
import re
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import GPTNeoXForCausalLM

from ngram import KneserNey
from train_demo import EOS, tokenize


@torch.no_grad()
def predictions(model, rows: np.ndarray, closes: np.ndarray, batch: int = 8) -> dict[str, np.ndarray]:
    """For the tokens after the first of each row, [N, 255]: log-probability of the true token, summed probability of the
    closing tokens, and whether the most likely token is a closing one."""
    closing = torch.from_numpy(np.flatnonzero(closes))
    found: dict[str, list[np.ndarray]] = {"truth": [], "closing mass": [], "top closes": []}
    for start in range(0, len(rows), batch):
        part = torch.from_numpy(rows[start:start + batch].astype(np.int64))
        logp = torch.log_softmax(model(part).logits[:, :-1].float(), -1)
        found["truth"].append(logp.gather(-1, part[:, 1:, None])[..., 0].double().numpy())
        found["closing mass"].append(logp[..., closing].exp().sum(-1).numpy())
        found["top closes"].append(closes[logp.argmax(-1).numpy()])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def losses(predicted: dict[str, dict[str, np.ndarray]], ngrams: dict[str, KneserNey], held: dict[str, np.ndarray]) -> dict:
    table: dict[str, dict[str, float]] = {}
    tokens = {}
    for pool, rows in held.items():
        tokens[pool] = rows.shape[0] * (rows.shape[1] - 1)
        table[pool] = {"model": -float(predicted[pool]["truth"].mean()),
                       **{name: float(-ngram.log_probability(rows).mean()) for name, ngram in ngrams.items()}}
    everything = sum(tokens.values())
    table["pooled"] = {name: sum(table[pool][name] * tokens[pool] for pool in tokens) / everything for name in table["installed"]}
    return {"tokens": tokens, "nats per token": table}


@torch.no_grad()
def indirect_objects(model, tokenizer: Tokenizer, prompts: list[dict]) -> dict:
    groups: dict[str, list[tuple[bool, bool, float]]] = {}
    for start in range(0, len(prompts), 100):
        batch = prompts[start:start + 100]
        ids = [[EOS, *tokenizer.encode(p["prompt"]).ids] for p in batch]
        longest = max(map(len, ids))
        logits = model(torch.tensor([row + [EOS] * (longest - len(row)) for row in ids])).logits.float()
        for i, prompt in enumerate(batch):
            at = logits[i, len(ids[i]) - 1]
            io, s = (tokenizer.encode(prompt[key]).ids[0] for key in ("answer", "distractor"))
            result = (bool(at[io] > at[s]), int(at.argmax()) == io, float(at[io] - at[s]))
            for group in ("all", "unseen names" if prompt["unseenNames"] else "unseen combinations", prompt["order"]):
                groups.setdefault(group, []).append(result)
    return {group: {"prompts": len(results), "accuracy": float(np.mean([r[0] for r in results])),
                    "top 1": float(np.mean([r[1] for r in results])), "mean logit difference": float(np.mean([r[2] for r in results]))}
            for group, results in groups.items()}


def bracket_tokens(tokenizer: Tokenizer) -> tuple[np.ndarray, list[str]]:
    """Per token: whether its first round bracket is ')'; and all its round brackets."""
    texts = [tokenizer.decode([i], skip_special_tokens=False) for i in range(tokenizer.get_vocab_size())]
    brackets = ["".join(ch for ch in text if ch in "()") for text in texts]
    return np.asarray([b.startswith(")") for b in brackets]), brackets


def open_depth(rows: np.ndarray, brackets: list[str]) -> np.ndarray:
    """How many parentheses are open before each of the tokens 1.. of a row, counted from the row's or document's start."""
    depth = np.zeros((rows.shape[0], rows.shape[1] - 1), dtype=np.int32)
    for r, row in enumerate(rows):
        now = 0
        for t, token in enumerate(row[:-1]):
            if token == EOS:
                now = 0
            for ch in brackets[token]:
                now = now + 1 if ch == "(" else max(0, now - 1)
            depth[r, t] = now
    return depth


def parentheses_in_text(predicted: dict[str, dict[str, np.ndarray]], tokenizer: Tokenizer, trigram: KneserNey, held: dict[str, np.ndarray]) -> dict:
    """Mean probability that the next token closes a parenthesis, by state: (a) one is open and is closed next, (b) one is open
    and is not closed next, (c) none is open. And, at (a), the share where the most likely token closes."""
    closes, brackets = bracket_tokens(tokenizer)
    result = {}
    for pool, rows in held.items():
        mass, top = predicted[pool]["closing mass"], predicted[pool]["top closes"]
        depth, truth = open_depth(rows, brackets), closes[rows[:, 1:]]
        base = trigram.mass(rows, np.flatnonzero(closes), np.flatnonzero((depth > 0) & truth))
        states = {"open, closed next": (depth > 0) & truth, "open, not closed next": (depth > 0) & ~truth, "none open": depth == 0}
        here = {name: {"positions": int(mask.sum()), "mean P(close)": float(mass[mask].mean()), "top token closes": float(top[mask].mean())}
                for name, mask in states.items()}
        here["open, closed next"]["trigram mean P(close)"] = float(base.mean())
        result[pool] = here
    return result


@torch.no_grad()
def parentheses_pairs(model, tokenizer: Tokenizer, corpus: Path, most: int = 600) -> dict:
    """Minimal pairs: the same held-out text up to where ')' stands, once as it is and once with the '(' taken out."""
    closes, _ = bracket_tokens(tokenizer)
    closing = torch.from_numpy(np.flatnonzero(closes))
    pairs: dict[str, list[tuple[str, str]]] = {"installed": [], "generated": []}
    with open(corpus / "heldout.jsonl", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            pool = "generated" if row["source"].startswith("generated") else "installed"
            for match in re.finditer(r" \((?=[A-Za-z])([^()\n]{2,80})(?<=[A-Za-z0-9])\)", row["text"]):
                before = row["text"][max(0, match.start() - 300):match.start()]
                if before.count("(") == before.count(")"):
                    pairs[pool].append((before + " (" + match.group(1), before + " " + match.group(1)))
    result = {}
    for pool, texts in pairs.items():
        found = []
        for pair in texts[:most]:
            ids = [[EOS, *tokenizer.encode(text).ids][-250:] for text in pair]
            probability = [torch.softmax(model(torch.tensor([row])).logits[0, -1].float(), -1) for row in ids]
            found.append([float(p[closing].sum()) for p in probability] + [float(closes[int(probability[0].argmax())])])
        opened, removed, top = np.asarray(found).T
        result[pool] = {"pairs": len(found), "mean P(close) with (": float(opened.mean()), "mean P(close) without (": float(removed.mean()),
                        "with ( is larger": float((opened > removed).mean()), "top token closes with (": float(top.mean())}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=Path("models/demo"))
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    model = GPTNeoXForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    train = np.concatenate(list(tokenize(tokenizer, options.corpus / "train.jsonl").values()))
    held = tokenize(tokenizer, options.corpus / "heldout.jsonl")
    prompts = [json.loads(line) for line in open(options.corpus / "ioi.jsonl", encoding="utf-8")]
    ngrams = {name: KneserNey(train, order, vocabulary=tokenizer.get_vocab_size())
              for order, name in ((1, "unigram"), (2, "bigram"), (3, "trigram"))}
    closes, _ = bracket_tokens(tokenizer)
    predicted = {pool: predictions(model, rows, closes) for pool, rows in held.items()}
    figures = {"loss": losses(predicted, ngrams, held), "indirect objects": indirect_objects(model, tokenizer, prompts),
               "parentheses in text": parentheses_in_text(predicted, tokenizer, ngrams["trigram"], held),
               "parentheses, minimal pairs": parentheses_pairs(model, tokenizer, options.corpus)}
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
