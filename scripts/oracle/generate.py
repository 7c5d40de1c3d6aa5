"""Fixtures for text generation: what Hugging Face transformers writes greedily in float32 on the CPU, and how it renders chats.

    python scripts/oracle/generate.py [--out test/fixtures/generate] [--models FOLDER ...]

greedy.json: for every model folder (small random ones made here, which cover the head sizes that attention treats differently, and
those given by --models), a prompt, the tokens `generate` appends with its key-value cache (no end token, up to the context's
length), the log-probability of each and the five likeliest at each place. Prompts are drawn until no choice is nearer than
1e-4 nats, so that rounding cannot change one.

chats.json: template texts (our own, in the manner of common ones), conversations, and what apply_chat_template makes of them.
"""

import argparse
import hashlib
import json
import logging
import pathlib

import jinja2
import tokenizers
import torch
import transformers
from transformers import AutoModelForCausalLM, GPT2Config, GPTNeoXConfig, LlamaConfig, PreTrainedTokenizerFast

logging.getLogger("transformers").setLevel(logging.ERROR)

CONFIGS = {
    # Head sizes that are multiples of 8 but not of 16, where the fused operator attends but does not turn.
    "llama-24": LlamaConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=24,
        intermediate_size=40, vocab_size=53, max_position_embeddings=80, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
    # Head size that the fused operator refuses.
    "llama-12": LlamaConfig(
        hidden_size=36, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1, head_dim=12,
        intermediate_size=40, vocab_size=53, max_position_embeddings=80, tie_word_embeddings=False,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}),
    # Fused throughout, with a rotation that the long-context rule stretches.
    "llama-16": LlamaConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
        intermediate_size=40, vocab_size=53, max_position_embeddings=80, tie_word_embeddings=False,
        rope_parameters={"rope_type": "llama3", "rope_theta": 10000.0, "factor": 4.0, "low_freq_factor": 1.0,
                         "high_freq_factor": 4.0, "original_max_position_embeddings": 16}),
    "neox-32": GPTNeoXConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=47,
        max_position_embeddings=64, rotary_pct=0.5, tie_word_embeddings=True),
    "neox-10": GPTNeoXConfig(
        hidden_size=20, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, vocab_size=47,
        max_position_embeddings=64, rotary_pct=1.0, use_parallel_residual=False, tie_word_embeddings=False),
    "gpt2-9": GPT2Config(
        n_embd=27, n_layer=2, n_head=3, vocab_size=47, n_positions=64, scale_attn_by_inverse_layer_idx=True,
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=0),
    "gpt2-8": GPT2Config(
        n_embd=32, n_layer=2, n_head=4, vocab_size=47, n_positions=72, bos_token_id=0, eos_token_id=0),
}


def greedy(model, prompt, count):
    ids = torch.tensor([prompt])
    # A mask of our own: without one, `generate` takes every 0 of the prompt for padding.
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, use_cache=True, eos_token_id=None, pad_token_id=0,
        bos_token_id=None, return_dict_in_generate=True, output_logits=True)
    ids = out.sequences[0, len(prompt):].tolist()
    logprobs = torch.log_softmax(torch.stack(out.logits)[:, 0].double(), -1)
    best, places = logprobs.topk(5)
    return {
        "ids": ids,
        "logprobs": [round(float(logprobs[i, t]), 7) for i, t in enumerate(ids)],
        "topIds": places.tolist(),
        "topLogprobs": [[round(float(x), 7) for x in row] for row in best],
    }, float((best[:, 0] - best[:, 1]).min())


def fixture(model, name, seed, prompt=None, context=None):
    context = context or model.config.max_position_embeddings
    generator = torch.Generator().manual_seed(seed)
    for _ in range(200):
        given = prompt or torch.randint(0, model.config.vocab_size, (5,), generator=generator).tolist()
        result, gap = greedy(model, given, context - len(given))
        # A loop of few tokens would show little.
        if gap > 1e-4 and (prompt is not None or len(set(result["ids"])) > 3):
            print(name, len(result["ids"]), "tokens,", len(set(result["ids"])), "different, nearest choice", gap)
            return {"name": name, "prompt": given, **result}
    raise SystemExit(f"{name}: choices are too near, or the text a loop; the last {len(set(result['ids']))} different, {gap} nats apart")


CHATML = (
    "{%- for message in messages -%}\n"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>\\n' }}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}\n"
)
HEADERS = (
    "{{- bos_token }}\n"
    "{%- if messages[0]['role'] == 'system' %}\n"
    "    {%- set system_message = messages[0]['content'] | trim %}\n"
    "    {%- set messages = messages[1:] %}\n"
    "{%- else %}\n"
    "    {%- set system_message = '' %}\n"
    "{%- endif %}\n"
    "{{- '<|header|>system<|end_header|>\\n\\n' }}\n"
    "{%- if tools is defined and tools is not none %}\n"
    "    {{- 'Functions you may call:\\n' }}\n"
    "    {%- for tool in tools %}\n"
    "        {{- tool | tojson(indent=4) + '\\n' }}\n"
    "    {%- endfor %}\n"
    "{%- endif %}\n"
    "{{- system_message + '<|eot|>' }}\n"
    "{%- for message in messages %}\n"
    "    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}\n"
    "        {{- '<|header|>' + message['role'] + '<|end_header|>\\n\\n' + message['content'] | trim + '<|eot|>' }}\n"
    "    {%- elif 'tool_calls' in message %}\n"
    "        {{- raise_exception('no calls here') }}\n"
    "    {%- endif %}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n"
    "    {{- '<|header|>assistant<|end_header|>\\n\\n' }}\n"
    "{%- endif %}\n"
)
INSTRUCTIONS = (
    "{%- if messages[0].role == 'system' %}\n"
    "{%- set first = messages[0].content ~ '\\n\\n' %}{% set rest = messages[1:] %}\n"
    "{%- else %}{% set first = '' %}{% set rest = messages %}{% endif %}\n"
    "{{- bos_token }}\n"
    "{%- for message in rest %}\n"
    "{%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns must alternate') }}{% endif %}\n"
    "{%- if message.role == 'user' %}{{ '[INST] ' ~ (first if loop.first else '') ~ message.content ~ ' [/INST]' }}\n"
    "{%- else %}{{ ' ' ~ message.content.strip() ~ eos_token }}{% endif %}\n"
    "{%- endfor %}"
)
TURNS = (
    "{% set ns = namespace(last=-1) %}"
    "{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}"
    "{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "{{ '<turn>' + role + '\n' }}"
    "{% if loop.index0 == ns.last %}{{ '(latest) ' }}{% endif %}"
    "{% if m.content is string %}{{ m.content | replace('\\r\\n', '\\n') }}{% else %}{{ m.content | length }}{% endif %}"
    "{{ '</turn>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<turn>model\n' }}{% endif %}"
)
TEMPLATES = {"chatml": CHATML, "headers": HEADERS, "instructions": INSTRUCTIONS, "turns": TURNS}
SAY = lambda role, content: {"role": role, "content": content}
CHATS = [
    [SAY("user", "What does this neuron do?")],
    [SAY("system", "  You are terse. "), SAY("user", "Hello\n\nworld")],
    [SAY("user", "\u00e4\u4f60\U0001f600 \"quotes\" & <tags> {{ braces }} {% raw %}"), SAY("assistant", " yes \n"), SAY("user", "again?\r\nplease")],
    [SAY("system", ""), SAY("user", ""), SAY("assistant", ""), SAY("user", "end  ")],
]
TOOLS = [{"type": "function", "function": {"name": "look_up", "description": "Finds \u00e9t\u00e9 & <b>", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}}}}]


def chats():
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.WordLevel({"<s>": 0, "</s>": 1}, unk_token="</s>")),
        bos_token="<s>", eos_token="</s>")
    cases = []
    for name, template in TEMPLATES.items():
        for index, messages in enumerate(CHATS):
            for tools in [None, TOOLS] if name == "headers" else [None]:
                text = tokenizer.apply_chat_template(messages, chat_template=template, tools=tools, add_generation_prompt=True, tokenize=False)
                cases.append({"template": name, "chat": index, "tools": tools is not None, "text": text})
    return {"templates": TEMPLATES, "chats": CHATS, "tools": TOOLS, "bos": "<s>", "eos": "</s>", "rendered": cases}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--out", type=pathlib.Path, default=root / "test/fixtures/generate")
    parser.add_argument("--models", type=pathlib.Path, nargs="*", default=[])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    versions = {"transformers": transformers.__version__, "torch": torch.__version__, "jinja2": jinja2.__version__}

    cases = []
    for index, (name, config) in enumerate(CONFIGS.items()):
        torch.manual_seed(3000 + index)
        config.dtype = torch.float32
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
        with torch.no_grad():
            # Unlike a fresh model's, so that choices are clear and texts no loops.
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape))
        folder = options.out / name
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        (folder / "model.safetensors").chmod(0o644)
        # What is on disk: a tied head of the model in memory may not be.
        cases.append(fixture(AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval(), name, index))
    for folder in options.models:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        cases.append({**fixture(model, folder.name, 0, prompt=[1], context=200), "weightsFile": digest})
    (options.out / "greedy.json").write_text(json.dumps({"versions": versions, "cases": cases}) + "\n")
    (options.out / "chats.json").write_text(json.dumps({"versions": versions, **chats()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
