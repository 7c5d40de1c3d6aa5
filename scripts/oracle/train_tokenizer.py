"""Trains the demo model's tokenizer: byte-level BPE, 4096 tokens, `<|endoftext|>` = 0.

    python scripts/oracle/train_tokenizer.py --corpus FOLDER --out models/demo

FOLDER is what `scripts/corpus.ts --out FOLDER` wrote. Fails when a first name of the generators is not one token.
The demo model's weights depend on this file: after a new tokenizer, train again.
"""
import argparse
import json
import os
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

EOS = "<|endoftext|>"


def texts(corpus: Path, generated_characters: int):
    left = generated_characters
    with open(corpus / "train.jsonl", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["source"] == "generated/meeting":
                continue
            if row["source"] == "generated":
                if left <= 0:
                    continue
                left -= len(row["text"])
            yield row["text"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("models/demo"))
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--generated-characters", type=int, default=12_000_000,
                        help="how much generated text the tokenizer sees beside all installed text of the train split")
    options = parser.parse_args()

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=options.vocab, special_tokens=[EOS], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.train_from_iterator(texts(options.corpus, options.generated_characters), trainer)
    assert tokenizer.get_vocab_size() == options.vocab, tokenizer.get_vocab_size()
    assert tokenizer.token_to_id(EOS) == 0

    with open(options.corpus / "people.jsonl", encoding="utf-8") as lines:
        names = [json.loads(line)["name"] for line in lines]
    split = [name for name in names if len(tokenizer.encode(" " + name).ids) != 1]
    assert not split, f"names of several tokens, take them off src/corpus/names.ts: {split}"

    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "tokenizer.json"
    tokenizer.save(str(path) + ".tmp")
    os.replace(str(path) + ".tmp", path)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "add_bos_token": False,
        "add_eos_token": False,
        "bos_token": EOS,
        "eos_token": EOS,
        "unk_token": EOS,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 256,
    }
    config_path = options.out / "tokenizer_config.json"
    config_path.with_suffix(".tmp").write_text(json.dumps(config, indent=2) + "\n")
    os.replace(config_path.with_suffix(".tmp"), config_path)
    print(f"{path}: {tokenizer.get_vocab_size()} tokens; {len(names)} names are one token each")


if __name__ == "__main__":
    main()
