"""Fixtures for the subject-model runtime: what Hugging Face transformers computes in float32 on the CPU.

    python scripts/oracle/lm_fixtures.py [--out test/fixtures/lm] [--models FOLDER ...] [--tokenizers FOLDER ...]

Random small configurations are written as whole model folders (config.json, model.safetensors) beside their outputs,
`expected.safetensors`. For every folder given by --models (and models/demo when it is there) only the outputs are written,
under the folder's name; the tests skip those where the folder is absent.

Tensors of expected.safetensors, for one batch without padding (`plain.*`) and one padded on the right (`padded.*`):
`ids` [B, T] and `lengths` [B] int32; `stream` [L+1, B, T, D], the residual stream after 0..L layers, before the final
norm; `attn_out`, `mlp_in` (what the MLP module receives) and `mlp_out` [L, B, T, D]; `logits` [B, T, V]. Numbers at padded
positions are not compared.

tokenization.json holds what the tokenizers library makes of a table of awkward texts, for every tokenizer given by
--tokenizers (a folder with tokenizer.json, or with GPT-2's vocab.json and merges.txt) and models/demo.
"""

import argparse
import hashlib
import json
import pathlib

import numpy as np
import safetensors
import safetensors.numpy
import tokenizers
import torch
import transformers
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig

CONFIGS = {
    # hidden sizes are small; head sizes cover the fused attention's cases (multiples of 16, of 8, neither)
    "neox-parallel": GPTNeoXConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96, vocab_size=61,
        max_position_embeddings=64, rotary_pct=0.5, use_parallel_residual=True, hidden_act="gelu",
        tie_word_embeddings=False),
    "neox-serial": GPTNeoXConfig(
        hidden_size=24, num_hidden_layers=3, num_attention_heads=2, intermediate_size=40, vocab_size=50,
        max_position_embeddings=48, rotary_pct=1.0, use_parallel_residual=False, hidden_act="gelu_new",
        attention_bias=False, tie_word_embeddings=True, layer_norm_eps=1e-4, rotary_emb_base=500),
    "gpt2-plain": GPT2Config(
        n_embd=32, n_layer=2, n_head=2, vocab_size=57, n_positions=40, bos_token_id=0, eos_token_id=0),
    "gpt2-scaled": GPT2Config(
        n_embd=36, n_layer=2, n_head=3, n_inner=50, vocab_size=43, n_positions=32, activation_function="gelu",
        scale_attn_by_inverse_layer_idx=True, layer_norm_epsilon=1e-4, tie_word_embeddings=False,
        bos_token_id=0, eos_token_id=0),
    "llama-gqa": LlamaConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=56, vocab_size=59, max_position_embeddings=64, tie_word_embeddings=False,
        rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 16}),
    "llama-tied": LlamaConfig(
        hidden_size=30, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1, intermediate_size=44,
        vocab_size=41, max_position_embeddings=40, tie_word_embeddings=True, attention_bias=True, mlp_bias=True,
        rms_norm_eps=1e-5, rope_parameters={"rope_type": "linear", "rope_theta": 1000.0, "factor": 2.0}),
}


TEXTS = [
    "", " ", "  ", "   leading", "trailing   ", "Hello world", " Hello world", "hello\nworld", "a\n\n\nb", "a \n b", "\n",
    "\t", "\ttab\t\ttabs", "\r\nwindows\r\n", "many        spaces     between", "a  b   c    d     e",
    "def f(x):\n    return x ** 2  # comment\n\n\nclass A:\n\tpass\n", "for (let i = 0; i < n; ++i) { a[i] += `${b}`; }",
    "if(x==null||y!==undefined){}", "I'm you're he's we'd they'll I've don't IT'S", "''s 's' 'S", "don\u2019t",
    "1234567890 3.14159 1,000,000 0x1F 1e-5", "\u00bd \u00b2 \u2163 \u0661\u0662\u0663", "na\u00efve caf\u00e9 cafe\u0301 \u00c5 A\u030a \u212b",
    "e\u0301\u0302\u0303 \u0301 alone", "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d", "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u3053\u3093\u306b\u3061\u306f\u30ab\u30bf\u30ab\u30ca", "\uc548\ub155\ud558\uc138\uc694", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
    "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35", "\u202eright to left\u202c", "zero\u200bwidth\u200cjoin\u200der\ufeffbom", "\u00a0nbsp\u00a0\u00a0two\u2003em\u3000wide",
    "\u0000nul \u0001\u0002 \u007f \u0085 \u2028 \u2029", "\x1b[31mred\x1b[0m", "\ufffd replacement \ud7ff \ue000 private \U0010ffff", "ﬁ ﬂ ﬀ \u1e9e \u0130 \u0131 \u01c5", "\U0001d400\U0001d41a math",
    "<|endoftext|>", "before<|endoftext|>after", " <|endoftext|> ", "<|endoftext|><|endoftext|>", "<|endoftex|>", "<s>text</s>", "<unk>", "<s> </s>", "<|padding|>",
    "https://example.org/a?b=c&d=%20#e", "a" * 60, "!?.,;:-_'\"()[]{}<>/\\|@#$%^&*~`+=", "....  ----  ====", "\u2026 \u2014 \u2013 \u201cquoted\u201d \u00abguillemets\u00bb",
    "One day, a little girl named Lily found a needle.", "CamelCase snake_case SCREAMING kebab-case", "\u2581 metaspace \u2581\u2581x", "\u0120 byte \u0120level \u010a",
    "x\u00b7y\u2208\u211d \u2200\u03b5>0 \u2203\u03b4", "\ufeffbom first", "mixed \u0440\u0443\u0441\u0441\u043a\u0438\u0439 \u03b5\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac English", "tab\tthen  two spaces\nnewline  \n  indented",
]


def load_tokenizer(folder):
    if (folder / "tokenizer.json").exists():
        return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def tokenization(folders, path):
    """`ids` without special tokens, `special` with them where that differs, `decoded` from `ids`, `cut` from
    `ids` without the first and the last (so that characters break apart), `tokens` = each id alone."""
    table = {"tokenizers_version": tokenizers.__version__, "texts": TEXTS, "tokenizers": {}}
    for folder in folders:
        tokenizer = load_tokenizer(folder)
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
        with_special = [tokenizer.encode(text, add_special_tokens=True).ids for text in TEXTS]
        used = sorted({token for row in ids for token in row})
        table["tokenizers"][folder.name] = {
            "size": max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1,
            "ids": ids,
            "special": with_special if with_special != ids else None,
            "decoded": [tokenizer.decode(row, skip_special_tokens=False) for row in ids],
            "cut": [tokenizer.decode(row[1:-1], skip_special_tokens=False) for row in ids],
            "tokens": {str(token): tokenizer.decode([token], skip_special_tokens=False) for token in used},
        }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table, ensure_ascii=True) + "\n")
    print(path.name, path.stat().st_size, "bytes")


def branches(model):
    """Modules whose outputs are attn_out and mlp_out, per layer; the second one's input is mlp_in."""
    kind = model.config.model_type
    if kind == "gpt_neox":
        return [(layer.attention, layer.mlp) for layer in model.gpt_neox.layers]
    if kind == "gpt2":
        return [(layer.attn, layer.mlp) for layer in model.transformer.h]
    return [(layer.self_attn, layer.mlp) for layer in model.model.layers]


def final_norm(model):
    return {"gpt_neox": lambda: model.gpt_neox.final_layer_norm, "gpt2": lambda: model.transformer.ln_f,
            "llama": lambda: model.model.norm}[model.config.model_type]()


def run(model, ids, lengths):
    """All hook points of one batch. The last stream is read where it enters the final norm."""
    seen = {}
    first = lambda out: out[0] if isinstance(out, tuple) else out
    hooks = [final_norm(model).register_forward_pre_hook(lambda m, a: seen.__setitem__("last", a[0]))]
    for index, (attention, mlp) in enumerate(branches(model)):
        hooks.append(attention.register_forward_hook(lambda m, a, o, i=index: seen.__setitem__(("attn", i), first(o))))
        hooks.append(mlp.register_forward_pre_hook(lambda m, a, i=index: seen.__setitem__(("mlp_in", i), a[0])))
        hooks.append(mlp.register_forward_hook(lambda m, a, o, i=index: seen.__setitem__(("mlp", i), first(o))))
    mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
    with torch.no_grad():
        out = model(input_ids=ids, attention_mask=mask.long(), output_hidden_states=True, use_cache=False)
    for hook in hooks:
        hook.remove()
    layers = model.config.num_hidden_layers
    return {
        "ids": ids.int(), "lengths": lengths.int(),
        "stream": torch.stack([*out.hidden_states[:-1], seen["last"]]),
        "attn_out": torch.stack([seen["attn", i] for i in range(layers)]),
        "mlp_in": torch.stack([seen["mlp_in", i] for i in range(layers)]),
        "mlp_out": torch.stack([seen["mlp", i] for i in range(layers)]),
        "logits": out.logits,
    }


def fixture(model, folder, source, rows, cols, seed):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda b, t: torch.randint(0, model.config.vocab_size, (b, t), generator=generator)
    tensors = {f"plain.{k}": v for k, v in run(model, draw(rows, cols), torch.full((rows,), cols)).items()}
    lengths = torch.tensor([cols, *[max(1, cols - 1 - 5 * i) for i in range(rows)]][: rows + 1])
    tensors |= {f"padded.{k}": v for k, v in run(model, draw(len(lengths), cols), lengths).items()}
    folder.mkdir(parents=True, exist_ok=True)
    versions = {"transformers": transformers.__version__, "torch": torch.__version__,
                "safetensors": safetensors.__version__, "numpy": np.__version__}
    # One entry: the library writes several in an order that changes from run to run.
    metadata = {"producer": json.dumps({"source": source, **versions})}
    arrays = {k: np.ascontiguousarray(v.detach().numpy()) for k, v in tensors.items()}
    safetensors.numpy.save_file(arrays, folder / "expected.safetensors", metadata=metadata)
    print(folder.name, sum(a.nbytes for a in arrays.values()), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=pathlib.Path, default=root / "test/fixtures/lm")
    parser.add_argument("--models", type=pathlib.Path, nargs="*", default=[])
    parser.add_argument("--tokenizers", type=pathlib.Path, nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)

    for index, (name, config) in enumerate(CONFIGS.items()):
        torch.manual_seed(1000 + index)
        config.dtype = torch.float32
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
        with torch.no_grad():
            # Gains of one and biases of zero would hide a swapped or missing one.
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
        folder = options.out / name
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        fixture(model, folder, "random weights", rows=2, cols=19, seed=index)

    demo = root / "models/demo"
    tokenization([*options.tokenizers, *([demo] if (demo / "tokenizer.json").exists() else [])], options.out / "tokenization.json")
    for source in [*options.models, *([demo] if (demo / "model.safetensors").exists() else [])]:
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, attn_implementation="eager").eval()
        digest = hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
        fixture(model, options.out / source.name, f"model.safetensors sha256 {digest}", rows=1,
                cols=23 if model.config.vocab_size < 2000 else 9, seed=77)


if __name__ == "__main__":
    main()
