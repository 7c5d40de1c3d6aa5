"""Fixtures for the subject-model runtime: what Hugging Face transformers computes in float32 on the CPU.

    python scripts/oracle/lm_fixtures.py [--out test/fixtures/lm] [--models FOLDER ...]

Random small configurations are written as whole model folders (config.json, model.safetensors) beside their outputs,
`expected.safetensors`. For every folder given by --models (and models/demo when it is there) only the outputs are written,
under the folder's name; the tests skip those where the folder is absent.

Tensors of expected.safetensors, for one batch without padding (`plain.*`) and one padded on the right (`padded.*`):
`ids` [B, T] and `lengths` [B] int32; `stream` [L+1, B, T, D], the residual stream after 0..L layers, before the final
norm; `attn_out` and `mlp_out` [L, B, T, D]; `logits` [B, T, V]. Numbers at padded positions are not compared.
"""

import argparse
import hashlib
import pathlib

import numpy as np
import safetensors
import safetensors.numpy
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


def branches(model):
    """Modules whose outputs are attn_out and mlp_out, per layer."""
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
    metadata = {"transformers": transformers.__version__, "torch": torch.__version__,
                "safetensors": safetensors.__version__, "numpy": np.__version__, "source": source}
    arrays = {k: np.ascontiguousarray(v.detach().numpy()) for k, v in tensors.items()}
    safetensors.numpy.save_file(arrays, folder / "expected.safetensors", metadata=metadata)
    print(folder.name, sum(a.nbytes for a in arrays.values()), "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=pathlib.Path, default=root / "test/fixtures/lm")
    parser.add_argument("--models", type=pathlib.Path, nargs="*", default=[])
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
    for source in [*options.models, *([demo] if (demo / "model.safetensors").exists() else [])]:
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, attn_implementation="eager").eval()
        digest = hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest()
        fixture(model, options.out / source.name, f"model.safetensors sha256 {digest}", rows=1, cols=23, seed=77)


if __name__ == "__main__":
    main()
