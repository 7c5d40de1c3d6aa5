"""The peers of patch.ts: the same patches by hooks on Hugging Face transformers and on TransformerLens (PyTorch, CPU, float32).

    python scripts/bench/patch_peer.py MODEL_FOLDER DATA_FOLDER PLAN_JSON

DATA_FOLDER holds encoder.bin and decoder.bin [F, D], bias.bin [F] (float32) and ids.bin [prompts, T] (int32). Prints one JSON
line when ready, then one for every line on standard input: `hf single` or
`lens single` runs SINGLES patches one by one and gives the seconds of
each and their KL(patched|base); `hf batch` or `lens batch` runs all batched ones and gives the seconds of all and their KLs.

A single patch: base and target are one run of two rows, then the edited prompt runs. Batched: each prompt runs once, then its
interventions run in batches of BATCH rows. Every run keeps the last logits only
(TransformerLens has no such option: it is run up to the last layer, and the last position read out by its own final norm and unembedding). An edited run starts at the tokens, as it does
with hooks.
"""
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM

folder, data, plan = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
torch.set_num_threads(plan["threads"])
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
D, F = model.config.hidden_size, plan["features"]
encoder, decoder, bias = (torch.from_numpy(np.fromfile(data / f"{name}.bin", dtype=np.float32)).reshape(shape) for name, shape in (("encoder", (F, D)), ("decoder", (F, D)), ("bias", (F,))))
ids = torch.from_numpy(np.fromfile(data / "ids.bin", dtype=np.int32).reshape(plan["prompts"], -1).astype(np.int64))
layer = model.gpt_neox.layers[plan["layer"]]


try:
    import transformer_lens
    from importlib.metadata import version
    from transformer_lens import HookedTransformer, HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_neox_weights
    LENS = version("transformer_lens")
except ImportError:
    LENS = None


def open_lens():
    config = model.config
    rotary = config.rope_parameters
    cfg = HookedTransformerConfig(
        n_layers=config.num_hidden_layers, d_model=D, n_ctx=config.max_position_embeddings, n_heads=config.num_attention_heads,
        d_head=D // config.num_attention_heads, d_mlp=config.intermediate_size, d_vocab=config.vocab_size, act_fn=config.hidden_act,
        eps=config.layer_norm_eps, normalization_type="LN", positional_embedding_type="rotary", parallel_attn_mlp=True, rotary_adjacent_pairs=False,
        rotary_dim=int(D // config.num_attention_heads * rotary["partial_rotary_factor"]), rotary_base=int(rotary["rope_theta"]), original_architecture="GPTNeoXForCausalLM")
    net = HookedTransformer(cfg)
    model.embed_out = getattr(model, "embed_out", None) or model.lm_head  # the name it had before transformers 5
    net.load_and_process_state_dict(convert_neox_weights(model, cfg), fold_ln=False, center_writing_weights=False, center_unembed=False, fold_value_biases=False)
    return net.eval()


lens = None if LENS is None else open_lens()


def run_lens(batch, hook):
    def change(tensor, hook):
        return edit(tensor)
    edit = hook
    last = lens.run_with_hooks(batch, stop_at_layer=lens.cfg.n_layers, fwd_hooks=[(f"blocks.{plan['layer']}.hook_resid_post", change)])[:, -1:]
    return torch.log_softmax(lens.unembed(lens.ln_final(last))[:, -1], dim=-1)


def run_hf(batch, hook):
    def change(_module, _inputs, output):
        tensor = output[0] if isinstance(output, tuple) else output
        changed = hook(tensor)
        if changed is None:
            return None
        return (changed, *output[1:]) if isinstance(output, tuple) else changed
    handle = layer.register_forward_hook(change)
    try:
        return torch.log_softmax(model(input_ids=batch, use_cache=False, logits_to_keep=1).logits[:, -1], dim=-1)
    finally:
        handle.remove()


def kl(p, q):
    return (p.exp() * (p - q)).sum(dim=-1).tolist()


def single(run, patch):
    features = torch.tensor(patch["features"])
    codes = []

    def read(x):
        codes.append(torch.relu(x @ encoder[features].T + bias[features]))

    clean = run(ids[[patch["base"], patch["target"]]], read)
    base, target = codes[0]
    patched = run(ids[[patch["base"]]], lambda x: x + (target - base) @ decoder[features])
    return kl(patched, clean[:1])[0]


def batched(run):
    found = []
    by_prompt = {}
    for place, (prompt, feature) in enumerate(plan["batched"]):
        by_prompt.setdefault(prompt, []).append((place, feature))
    for prompt, wanted in by_prompt.items():
        clean = run(ids[[prompt]], lambda x: None)
        for at in range(0, len(wanted), plan["batch"]):
            part = wanted[at:at + plan["batch"]]
            features = torch.tensor([feature for _, feature in part])

            def edit(x):
                c = torch.relu((x * encoder[features][:, None]).sum(-1) + bias[features][:, None])
                return x + ((plan["factor"] - 1) * c)[..., None] * decoder[features][:, None]

            patched = run(ids[[prompt]].expand(len(part), -1), edit)
            found += [(place, value) for (place, _), value in zip(part, kl(patched, clean))]
    return [value for _, value in sorted(found)]


def once(line):
    peer, what = line.split()
    run = run_hf if peer == "hf" else run_lens
    with torch.inference_mode():
        seconds, kls = [], []
        for patch in plan["single"] if what == "single" else [None]:
            started = time.perf_counter()
            kls += [single(run, patch)] if what == "single" else batched(run)
            seconds.append(time.perf_counter() - started)
    return {"seconds": seconds, "kl": kls}


once("hf single")  # the first runs are slower
print(json.dumps({"ready": True, "transformerLens": LENS, "transformers": transformers.__version__, "torch": torch.__version__}), flush=True)
for line in sys.stdin:
    print(json.dumps(once(line.strip())), flush=True)
