"""Writes test/fixtures/formats/{saelens,sparsify,gemma_scope,transformer_lens}: small dictionaries saved by the original libraries, and what they compute.

    python scripts/oracle/foreign_safetensors.py            writes the fixtures, then exports them with our own exporters and checks those
    python scripts/oracle/foreign_safetensors.py exports    only the second part

Each folder below is a dictionary as its library saves it; expected.safetensors beside them holds, on the same vectors x [N, D],
`<case>.codes` [N, F] and `<case>.reconstruction` [N, dOut] as the library's own encode and decode give them in float32. Gemma Scope
has no library: the reference is the equation of its paper (arXiv 2408.05147, section 2) in numpy.
The second part loads what our exporters wrote (test/fixtures/formats/exported) with the libraries and compares with the same numbers.
"""
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

warnings.filterwarnings("ignore")
os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # its Triton decoder needs a GPU
ROOT = Path(__file__).parents[2]
OUT = ROOT / "test/fixtures/formats"
D, D_OUT, F, N = 12, 8, 20, 8
TL = {"model_name": "pythia-70m", "hook_name": "blocks.3.hook_resid_post", "hook_head_index": None, "prepend_bos": True, "context_size": 128,
      "model_from_pretrained_kwargs": {"center_writing_weights": False}}


def rng(name):
    return torch.Generator().manual_seed(sum(map(ord, name)))


def vectors(width=D):
    return 1.5 * torch.randn(N, width, generator=rng("x")) + 0.3


def fill(module, name):
    """Random parameters, all of them non-zero; thresholds positive."""
    g = rng(name)
    with torch.no_grad():
        for key, value in sorted(module.named_parameters()):
            noise = torch.randn(value.shape, generator=g)
            value.copy_((noise.abs() * 0.6 if key == "threshold" else noise * (0.4 if value.ndim == 2 else 0.3)).to(value.dtype))
    return module


def start(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return {"x": vectors().numpy()}


def finish(folder, expected, versions):
    save_file({k: np.ascontiguousarray(v, dtype=np.float32) for k, v in expected.items()}, folder / "expected.safetensors",
              metadata={"script": "scripts/oracle/foreign_safetensors.py", "torch": torch.__version__, **versions})


def saelens_fixtures():
    import sae_lens
    from sae_lens import saes
    from sae_lens.saes.sae import SAE, SAEMetadata

    folder = OUT / "saelens"
    expected = start(folder)
    x = vectors()

    def read(sae, at=x):
        sae = sae.to(torch.float32)
        with torch.no_grad():
            return sae.encode(at).numpy(), sae(at).numpy()

    def keep(case, codes, reconstruction):
        assert 0.05 < (codes > 0).mean() < 0.9, (case, (codes > 0).mean())
        expected[f"{case}.codes"], expected[f"{case}.reconstruction"] = codes, reconstruction

    def save(case, kind, metadata=None, **options):
        cfg = getattr(saes, f"{kind}Config")(d_in=D, d_sae=F, metadata=SAEMetadata(**{**TL, **(metadata or {})}), **options)
        sae = fill(getattr(saes, kind)(cfg), case)
        sae.save_model(folder / case)
        return sae

    for case, kind, options in [
        ("standard", "StandardSAE", {}),
        ("uncentred", "StandardSAE", {"apply_b_dec_to_input": False}),
        ("half", "StandardSAE", {"dtype": "float16"}),
        ("brain", "StandardSAE", {"dtype": "bfloat16"}),
        ("double", "StandardSAE", {"dtype": "float64"}),
        ("topk", "TopKSAE", {"k": 4}),
        ("topk_rescaled", "TopKSAE", {"k": 4, "rescale_acts_by_decoder_norm": True}),
        ("jumprelu", "JumpReLUSAE", {}),
        ("gated", "GatedSAE", {}),
    ]:
        keep(case, *read(save(case, kind, **options)))
    out = {"hook_name": "blocks.3.ln2.hook_normalized", "hook_name_out": "blocks.3.hook_mlp_out"}
    for case, kind in [("transcoder", "Transcoder"), ("skip_transcoder", "SkipTranscoder"), ("jumprelu_transcoder", "JumpReLUTranscoder"),
                       ("jumprelu_skip_transcoder", "JumpReLUSkipTranscoder")]:
        keep(case, *read(save(case, kind, out, d_out=D_OUT, apply_b_dec_to_input=False)))

    # A factor that is not in the weights: the library folds it where its release list has one.
    sae = save("norm_factor", "StandardSAE", normalize_activations="expected_average_only_in")
    sae.fold_activation_norm_scaling_factor(1.7)
    keep("norm_factor", *read(sae))

    # Trained on a stream that TransformerLens centred.
    sae = save("centred", "JumpReLUSAE", {"model_from_pretrained_kwargs": {"center_writing_weights": True}})
    keep("centred", *read(sae, x - x.mean(dim=-1, keepdim=True)))

    # Flat configs of versions 2 and 5, read by today's loader.
    old = {"model_name": "gpt2-small", "hook_point": "blocks.8.hook_resid_pre", "hook_point_layer": 8, "hook_point_head_index": None, "dataset_path": "Skylion007/openwebtext",
           "is_dataset_tokenized": False, "context_size": 128, "use_cached_activations": False, "d_in": D, "n_batches_in_buffer": 128, "total_training_tokens": 300000000,
           "store_batch_size": 32, "device": "cpu", "seed": 42, "dtype": "torch.float32", "b_dec_init_method": "geometric_median", "expansion_factor": 32, "d_sae": F,
           "l1_coefficient": 8e-05, "lr": 0.0004, "lr_scheduler_name": None, "train_batch_size": 4096, "use_ghost_grads": False, "log_to_wandb": True, "wandb_project": "x"}
    flat5 = {"architecture": "standard", "d_in": D, "d_sae": F, "activation_fn_str": "topk", "activation_fn_kwargs": {"k": 5}, "apply_b_dec_to_input": False,
             "finetuning_scaling_factor": False, "context_size": 128, "model_name": "pythia-70m", "hook_name": "blocks.2.hook_mlp_out", "hook_layer": 2, "hook_head_index": None,
             "prepend_bos": True, "dataset_path": "x/y", "dataset_trust_remote_code": True, "normalize_activations": "none", "dtype": "float32", "device": "cpu",
             "sae_lens_training_version": "3.17.0", "neuronpedia_id": None, "model_from_pretrained_kwargs": {"center_writing_weights": False}}
    for case, cfg in [("legacy_v2", old), ("legacy_topk", flat5)]:
        sae = save(case, "StandardSAE")
        state = {k: v.numpy() for k, v in sae.state_dict().items()}
        if case == "legacy_v2":
            state["scaling_factor"] = np.ones(F, dtype=np.float32)
        save_file(state, folder / case / "sae_weights.safetensors")
        (folder / case / "cfg.json").write_text(json.dumps(cfg))
        keep(case, *read(SAE.load_from_disk(folder / case)))
    finish(folder, expected, {"sae_lens": sae_lens.__version__})


def sparsify_codes(sae, x):
    with torch.no_grad():
        acts, indices, _ = sae.encode(x)
        codes = torch.zeros(len(x), sae.num_latents).scatter_(-1, indices, acts)
        return codes.numpy(), sae(x).sae_out.numpy()


def sparsify_fixtures():
    from importlib.metadata import version

    from sparsify import SparseCoder, SparseCoderConfig

    folder = OUT / "sparsify"
    expected = start(folder)
    x = vectors()
    for case, options in [
        ("layers.2", {"num_latents": F, "k": 4}),
        ("layers.10", {"expansion_factor": 2, "k": 3, "normalize_decoder": False, "skip_connection": True}),
        ("layers.1.mlp", {"num_latents": F, "k": 5, "transcode": True, "skip_connection": True}),
    ]:
        sae = fill(SparseCoder(D, SparseCoderConfig(**options)), case)
        sae.save_to_disk(folder / "run" / case)
        expected[f"{case}.codes"], expected[f"{case}.reconstruction"] = sparsify_codes(sae, x)
    (folder / "run/config.json").write_text(json.dumps({"model": "EleutherAI/pythia-70m", "dataset": "x/y", "ctx_len": 2048}))
    finish(folder, expected, {"eai-sparsify": version("eai-sparsify")})


def gemma_fixtures():
    folder = OUT / "gemma_scope"
    expected = start(folder)
    x = vectors().numpy()

    def params(case, d_out=D):
        r = np.random.default_rng(sum(map(ord, case)))
        return {"W_enc": 0.4 * r.standard_normal((D, F)), "W_dec": 0.4 * r.standard_normal((F, d_out)), "b_enc": 0.3 * r.standard_normal(F),
                "b_dec": 0.3 * r.standard_normal(d_out), "threshold": 0.6 * np.abs(r.standard_normal(F))}

    def read(case, p, scale=1.0, skip=None):
        p = {k: v.astype(np.float32).astype(np.float64) for k, v in p.items()}
        z = x.astype(np.float64) / scale
        h = z @ p["W_enc"] + p["b_enc"]
        codes = np.maximum(h, 0) * (h > p["threshold"])
        out = codes @ p["W_dec"] + p["b_dec"] + (0 if skip is None else z @ skip)
        expected[f"{case}.codes"], expected[f"{case}.reconstruction"] = codes, out * scale

    def v1(case, path, scale=1.0):
        p = params(case)
        (folder / path).mkdir(parents=True)
        np.savez(folder / path / "params.npz", **{k: v.astype(np.float32) for k, v in p.items()})
        read(case, p, scale)

    v1("res", "gemma-scope-2b-pt-res/layer_3/width_16k/average_l0_82")
    v1("embedding", "gemma-scope-2b-pt-res/embedding/width_4k/average_l0_6", D ** 0.5)

    def v2(case, path, config, d_out=D, skip=False):
        p = params(case, d_out)
        path = folder / path
        path.mkdir(parents=True)
        affine = np.random.default_rng(7).standard_normal((D, d_out)).astype(np.float32) if skip else None
        save_file({**{k.lower(): np.ascontiguousarray(v.astype(np.float32)) for k, v in p.items()}, **({"affine_skip_connection": affine} if skip else {})}, path / "params.safetensors")
        if config is not None:
            (path / "config.json").write_text(json.dumps(config))
        read(case, p, skip=None if affine is None else affine.astype(np.float64))

    v2("resid_post", "gemma-scope-2-270m-pt/resid_post/layer_5_width_16k_l0_small", None)
    v2("transcoder", "gemma-scope-2-270m-pt/transcoder/layer_5_width_16k_l0_small_affine",
       {"architecture": "jump_relu", "model_name": "gemma-v3-270m-pt", "hf_hook_point_in": "model.layers.5.pre_feedforward_layernorm.output",
        "hf_hook_point_out": "model.layers.5.post_feedforward_layernorm.output", "affine_connection": True}, D_OUT, True)
    finish(folder, expected, {"numpy": np.__version__})


def transformer_lens_fixtures():
    """What TransformerLens gives at its hooks, with its default weight processing and without, for models we have here."""
    from importlib.metadata import version

    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions.gpt2 import convert_gpt2_weights
    from transformer_lens.pretrained.weight_conversions.neox import convert_neox_weights
    from transformers import AutoModelForCausalLM

    folder = OUT / "transformer_lens"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found = {}
    for name, path, convert in [("gpt2-plain", "test/fixtures/lm/gpt2-plain", convert_gpt2_weights), ("demo", "models/demo", convert_neox_weights)]:
        model = AutoModelForCausalLM.from_pretrained(ROOT / path, dtype=torch.float32).eval()
        model.embed_out = model.lm_head  # its name when the conversion was written
        c = model.config
        gpt2 = c.model_type == "gpt2"
        heads, width = c.num_attention_heads, c.hidden_size
        own = {"act_fn": "gelu_new", "positional_embedding_type": "standard"} if gpt2 else {
            "act_fn": "gelu", "positional_embedding_type": "rotary", "rotary_dim": int(0.25 * width // heads), "rotary_base": 10000, "rotary_adjacent_pairs": False,
            "parallel_attn_mlp": True, "d_mlp": c.intermediate_size}
        cfg = HookedTransformerConfig(n_layers=c.num_hidden_layers, d_model=width, n_ctx=c.max_position_embeddings, d_head=width // heads, n_heads=heads, d_vocab=c.vocab_size,
                                      eps=c.layer_norm_epsilon if gpt2 else c.layer_norm_eps, normalization_type="LN", device="cpu", **own)
        ids = torch.randint(0, c.vocab_size, (1, 6), generator=rng(name))
        found[f"{name}.ids"] = ids.numpy()
        for state, processing in [("processed", {}), ("plain", dict(fold_ln=False, center_writing_weights=False, center_unembed=False, fold_value_biases=False))]:
            lens = HookedTransformer(cfg, move_to_device=False)
            with torch.no_grad():
                lens.load_and_process_state_dict(convert(model, cfg), **processing)
                logits, cache = lens.run_with_cache(ids)
                wanted = torch.log_softmax(model(ids).logits, -1)
            assert (torch.log_softmax(logits, -1) - wanted).abs().max() < 1e-3, (name, state)
            for hook in ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_post", "blocks.1.hook_attn_out", "blocks.1.hook_mlp_out", "blocks.1.ln2.hook_normalized"]:
                found[f"{name}.{state}.{hook}"] = cache[hook][0].numpy()
    finish(folder, found, {"transformer_lens": version("transformer_lens")})


def check_exports():
    """Loads every folder our exporters wrote with its library; exported/index.json says what each was made of."""
    subprocess.run(["node", str(ROOT / "scripts/oracle/foreign_exports.ts")], check=True, cwd=ROOT)
    index = json.loads((OUT / "exported/index.json").read_text())
    for name, entry in index.items():
        folder = OUT / "exported" / name
        expected = load_file(OUT / entry["expected"])
        x = torch.from_numpy(expected["x"])
        codes, reconstruction = LOAD[entry["format"]](folder / entry["path"], x)
        for what, found in [("codes", codes), ("reconstruction", reconstruction)]:
            wanted = expected[f"{entry['case']}.{what}"]
            error = np.abs(found - wanted).max() / np.abs(wanted).max()
            assert error < 1e-5, (name, what, error)
            print(f"{name}: {what} {error:.1e}")


def load_saelens(folder, x):
    from sae_lens.saes.sae import SAE

    sae = SAE.load_from_disk(folder)
    with torch.no_grad():
        return sae.encode(x).numpy(), sae(x).numpy()


def load_sparsify(folder, x):
    from sparsify import SparseCoder

    return sparsify_codes(SparseCoder.load_from_disk(folder), x)


LOAD = {"saelens": load_saelens, "sparsify": load_sparsify}

if __name__ == "__main__":
    if sys.argv[1:] != ["exports"]:
        saelens_fixtures()
        sparsify_fixtures()
        gemma_fixtures()
        transformer_lens_fixtures()
    check_exports()
