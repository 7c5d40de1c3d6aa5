"""Writes test/fixtures/dictionary/sae_trainers.json: steps of sparse autoencoders by PyTorch.

    python scripts/oracle/sae_trainers.py

First dictionary_learning's own trainers from a given start, with the hyper-parameters that make this program's the same
(`hyper`): their losses sum the squared error over D where this program takes the mean, so coefficients, clipping norm and
Adam's epsilon are theirs times `lossScale`. `warmupFromZero`: they count the steps of warm-ups from 0, this program from 1.
Then transcoders with a linear path, which the library does not have: autograd on the losses written out here.
"""
import json
import math
from importlib.metadata import version
from pathlib import Path

import torch
from dictionary_learning.trainers import gdm, jumprelu, standard, top_k
from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKTrainer
from dictionary_learning.trainers.trainer import get_lr_schedule

OUT = Path(__file__).parents[2] / "test/fixtures/dictionary/sae_trainers.json"
B, D, F, STEPS, OUT_WIDTH = 12, 6, 12, 12, 5
QUIET = slice(8, 12)  # features that start too weak to be among the largest: the dead ones


def flat(tensor):
    return [float(f"{value:.8g}") for value in tensor.detach().flatten().tolist()]


torch.manual_seed(0)
X = 1.5 * torch.randn(STEPS, B, D) + 0.3
Y = X @ torch.randn(D, OUT_WIDTH) / math.sqrt(D) + torch.tanh(X[..., :OUT_WIDTH])
COMMON = dict(steps=STEPS, activation_dim=D, dict_size=F, layer=0, lm_name="none", seed=1, device="cpu")


def names_of(ae):
    """The library's parameters by this program's names: (parameter, whether it is transposed here)."""
    found = dict(ae.named_parameters())
    table = {
        "encoder.weight": ("encoder", False), "encoder.bias": ("encoderBias", False), "decoder.weight": ("decoder", True), "b_dec": ("decoderBias", False), "bias": ("decoderBias", False),
        "W_enc": ("encoder", True), "b_enc": ("encoderBias", False), "W_dec": ("decoder", False), "threshold": ("threshold", False),
        "decoder_bias": ("decoderBias", False), "gate_bias": ("encoderBias", False), "r_mag": ("rescale", False), "mag_bias": ("magnitudeBias", False),
    }
    return {table[name][0]: (parameter, table[name][1]) for name, parameter in found.items()}


def parameters_of(ae):
    return {name: flat(p.T if transposed else p) for name, (p, transposed) in names_of(ae).items()}


def perturb(ae):
    """A start that no initialiser gives: every parameter matters from the first step."""
    torch.manual_seed(2)
    for name, (p, transposed) in names_of(ae).items():
        rows = p.data.T if transposed else p.data
        if name == "decoder":
            rows.copy_(torch.nn.functional.normalize(torch.randn_like(rows), dim=1))
        elif name == "encoder":
            rows.copy_(torch.randn_like(rows) / math.sqrt(D))
            rows[QUIET] *= 0.15
        elif name == "threshold":
            rows.copy_(0.3 + 0.3 * torch.rand_like(rows))
        else:
            rows.copy_(0.1 * torch.randn_like(rows))


def library_case(name, architecture, trainer, hyper, loss_scale=1 / D, y_is_x=False, dead=None):
    """Runs the trainer over X. `dead` = (vectors until dead, most dead features in the auxiliary loss)."""
    perturb(trainer.ae)
    if dead is not None:
        trainer.dead_feature_threshold, trainer.top_k_aux = dead
        hyper = {**hyper, "deadVectors": dead[0], "auxK": dead[1]}
    if hasattr(trainer, "threshold_beta"):
        median = (trainer.geometric_median if hasattr(trainer, "geometric_median") else top_k.geometric_median)(X[0])
        trainer.ae.b_dec.data = median.clone()  # what `update` itself sets at step 0
    start, losses, auxiliary = parameters_of(trainer.ae), [], 0
    inner = trainer.loss

    def recorded(*args, **kwargs):
        loss = inner(*args, **kwargs)
        losses.append(loss.item() * loss_scale)
        return loss

    trainer.loss = recorded
    for step, x in enumerate(X):
        trainer.update(step, x)
        auxiliary += getattr(trainer, "pre_norm_auxk_loss", -1) > 0
    assert dead is None or auxiliary >= 4, f"{name}: the auxiliary loss worked on {auxiliary} steps"
    final = parameters_of(trainer.ae)
    if "tracked" in hyper:
        final["threshold"] = flat(torch.as_tensor(trainer.ae.threshold))
        hyper = {key: value for key, value in hyper.items() if key != "tracked"}
    if dead is not None:
        final["sinceFired"] = flat(trainer.num_tokens_since_fired)
    return {"name": name, "architecture": architecture, "source": type(trainer).__name__, "transcoder": y_is_x, "target": "x", "skip": False, "warmupFromZero": True,
            "lossScale": loss_scale, "hyper": {"epsilon": 1e-8 * loss_scale, **hyper}, "start": start, "losses": losses, "final": final}


class StepOnPreActivations(jumprelu.JumpReluTrainer):
    """The library's trainer with the paper's loss: the step's kernel on h instead of on the codes, inputs centred, L0 plain or to a target."""

    def loss(self, x, step, logging=False, **_):
        h = (x - self.ae.b_dec) @ self.ae.W_enc + self.ae.b_enc
        f = jumprelu.JumpReLUFunction.apply(h, self.ae.threshold, self.bandwidth)
        l0 = jumprelu.StepFunction.apply(h, self.ae.threshold, self.bandwidth).sum(dim=-1).mean()
        sparsity = l0 if self.target_l0 == 0 else (l0 / self.target_l0 - 1).pow(2)
        return (x - self.ae.decode(f)).pow(2).sum(dim=-1).mean() + self.sparsity_coefficient * self.sparsity_warmup_fn(step) * sparsity


def jumprelu_trainer(kind, lr, warmup, **settings):
    """With the threshold's step size at √D times the others', as this program has it."""
    trainer = kind(**COMMON, lr=lr, warmup_steps=warmup, **settings)
    rest = [p for name, p in trainer.ae.named_parameters() if name != "threshold"]
    trainer.optimizer = torch.optim.Adam([{"params": rest}, {"params": [trainer.ae.threshold], "lr": lr * math.sqrt(D)}], lr=lr, betas=(0.0, 0.999), eps=1e-8)
    trainer.scheduler = torch.optim.lr_scheduler.LambdaLR(trainer.optimizer, lr_lambda=get_lr_schedule(STEPS, warmup))
    return trainer


def library_cases():
    scale = 1 / D
    clip = {"clipNorm": scale}
    yield library_case("standard, both warm-ups", "untied", standard.StandardTrainer(**COMMON, lr=5e-3, l1_penalty=0.2, warmup_steps=3, sparsity_warmup_steps=4),
                       {"learningRate": 5e-3, "sparsity": 0.2 * scale, "warmupSteps": 3, "sparsityWarmupSteps": 4})
    yield library_case("topk, fewer in the auxiliary loss than dead, clipped, decaying", "topk", top_k.TopKTrainer(**COMMON, k=2, lr=5e-3, warmup_steps=2, decay_start=8),
                       {"learningRate": 5e-3, "k": 2, "auxCoefficient": scale / 32, "warmupSteps": 2, "decaySteps": STEPS - 8, **clip}, dead=(24, 2))
    yield library_case("topk, all dead in a strong auxiliary loss", "topk", top_k.TopKTrainer(**COMMON, k=2, lr=5e-3, auxk_alpha=2.0, warmup_steps=0),
                       {"learningRate": 5e-3, "k": 2, "auxCoefficient": 2 * scale, "warmupSteps": 0, **clip}, dead=(24, 9))
    # The library tracks from its step index start + 1 on, step start + 2 counted from 1.
    yield library_case("batchtopk", "batchtopk", BatchTopKTrainer(**COMMON, k=2, lr=5e-3, warmup_steps=0, threshold_beta=0.8, threshold_start_step=3),
                       {"learningRate": 5e-3, "k": 2, "auxCoefficient": scale / 32, "warmupSteps": 0, "thresholdDecay": 0.8, "thresholdStart": 4, "tracked": True, **clip}, dead=(24, 3))
    # Its loss is 1/G² of the sum over groups, this program's 1/G (and the mean over D).
    groups, m_scale = [0.25, 0.25, 0.5], 3 / D
    yield library_case("matryoshka", "matryoshka", MatryoshkaBatchTopKTrainer(**COMMON, k=2, group_fractions=groups, lr=5e-3, warmup_steps=0, threshold_beta=0.8, threshold_start_step=3),
                       {"learningRate": 5e-3, "k": 2, "auxCoefficient": m_scale / 32, "warmupSteps": 0, "thresholdDecay": 0.8, "thresholdStart": 4, "groupShares": groups, "tracked": True, "clipNorm": m_scale},
                       loss_scale=m_scale, dead=(24, 3))
    # The library does not centre: this program's transcoder with its input as target.
    yield library_case("jumprelu as the library has it, without its sparsity loss", "jumprelu", jumprelu_trainer(jumprelu.JumpReluTrainer, 5e-3, 0, bandwidth=0.4, sparsity_penalty=0.0, sparsity_warmup_steps=None),
                       {"learningRate": 5e-3, "sparsity": 0, "bandwidth": 0.4, "warmupSteps": 0, "targetL0": 3, **clip}, y_is_x=True)
    yield library_case("jumprelu to a target L0", "jumprelu", jumprelu_trainer(StepOnPreActivations, 5e-3, 0, bandwidth=0.4, sparsity_penalty=6.0, sparsity_warmup_steps=4, target_l0=2.0),
                       {"learningRate": 5e-3, "sparsity": 6 * scale, "bandwidth": 0.4, "warmupSteps": 0, "sparsityWarmupSteps": 4, "targetL0": 2, **clip})
    yield library_case("jumprelu with the plain L0", "jumprelu", jumprelu_trainer(StepOnPreActivations, 5e-3, 0, bandwidth=0.4, sparsity_penalty=0.5, sparsity_warmup_steps=None, target_l0=0),
                       {"learningRate": 5e-3, "sparsity": 0.5 * scale, "bandwidth": 0.4, "warmupSteps": 0, "sparsityWarmupSteps": 0, "targetL0": 0, **clip})
    yield library_case("gated", "gated", gdm.GatedSAETrainer(**COMMON, lr=5e-3, l1_penalty=0.2, warmup_steps=2, sparsity_warmup_steps=4),
                       {"learningRate": 5e-3, "sparsity": 0.2 * scale, "warmupSteps": 2, "sparsityWarmupSteps": 4})


def keep(values, k):
    top = values.topk(k, dim=-1)
    return torch.zeros_like(values).scatter(-1, top.indices, top.values)


def own_loss(architecture, hyper, p, x, y, since):
    """Loss and codes of a transcoder with a linear path, in this program's scaling. `since` counts this batch already for features that stay silent."""
    h = x @ p["encoder"].T + p["encoderBias"]
    path = x @ p["skip"].T + p["decoderBias"]
    mean = lambda error: (error**2).mean()
    if architecture == "untied":
        c = torch.relu(h)
        return mean(c @ p["decoder"] + path - y) + hyper["sparsity"] * c.sum(1).mean(), c
    if architecture == "jumprelu":
        c = jumprelu.JumpReLUFunction.apply(h, p["threshold"], hyper["bandwidth"])
        l0 = jumprelu.StepFunction.apply(h, p["threshold"], hyper["bandwidth"]).sum(1).mean()
        return mean(c @ p["decoder"] + path - y) + hyper["sparsity"] * (l0 / hyper["targetL0"] - 1) ** 2, c
    if architecture == "gated":
        c = (h > 0) * torch.relu(torch.exp(p["rescale"]) * (h - p["encoderBias"]) + p["magnitudeBias"])
        gate = torch.relu(h)
        frozen = gate @ p["decoder"].detach() + (x @ p["skip"].T + p["decoderBias"]).detach()
        return mean(c @ p["decoder"] + path - y) + hyper["sparsity"] * gate.sum(1).mean() + mean(frozen - y), c
    positive = torch.relu(h)
    c = keep(positive, hyper["k"]) if architecture == "topk" else keep(positive.flatten(), hyper["k"] * B).reshape(B, F)
    if architecture == "matryoshka":
        ends = [round(sum(hyper["groupShares"][: i + 1]) * F) for i in range(len(hyper["groupShares"]))]
        errors = [c[:, :end] @ p["decoder"][:end] + path - y for end in ends]
    else:
        errors = [c @ p["decoder"] + path - y]
    loss = sum(mean(error) for error in errors) / len(errors)
    after = torch.where((c > 0).any(0), torch.zeros(F), since + B)
    dead = after >= hyper["deadVectors"]
    if dead.any():
        e = errors[-1].detach()
        a = keep(positive * dead, min(hyper["auxK"], int(dead.sum())))
        loss = loss + hyper["auxCoefficient"] * ((a @ p["decoder"] + e) ** 2).sum() / ((e - e.mean(0)) ** 2).sum()
    return loss, c


def own_case(architecture, hyper):
    hyper = {"learningRate": 5e-3, "beta1": 0.9, "epsilon": 1e-8, "warmupSteps": 0, "clipNorm": 0.2, "deadVectors": 24, **hyper}
    torch.manual_seed(3)
    p = {
        "encoder": torch.randn(F, D) / math.sqrt(D), "encoderBias": 0.1 * torch.randn(F), "decoder": torch.nn.functional.normalize(torch.randn(F, OUT_WIDTH), dim=1),
        "decoderBias": 0.1 * torch.randn(OUT_WIDTH), "skip": 0.1 * torch.randn(OUT_WIDTH, D),
        **({"threshold": 0.3 + 0.3 * torch.rand(F)} if architecture == "jumprelu" else {}),
        **({"rescale": 0.1 * torch.randn(F), "magnitudeBias": 0.1 * torch.randn(F)} if architecture == "gated" else {}),
    }
    p["encoder"][QUIET] *= 0.15
    p = {name: torch.nn.Parameter(value) for name, value in p.items()}
    start = {name: flat(value) for name, value in p.items()}
    groups = [{"params": [value], "lr": hyper["learningRate"] * (math.sqrt(D) if name == "threshold" else 1)} for name, value in p.items()]
    adam = torch.optim.Adam(groups, betas=(hyper["beta1"], 0.999), eps=hyper["epsilon"])
    losses, since = [], torch.zeros(F)
    for x, y in zip(X, Y):
        adam.zero_grad()
        loss, c = own_loss(architecture, hyper, p, x, y, since)
        loss.backward()
        since = torch.where((c > 0).any(0), torch.zeros(F), since + B)
        decoder = p["decoder"]
        decoder.grad -= (decoder.grad * decoder.data).sum(1, keepdim=True) * decoder.data
        torch.nn.utils.clip_grad_norm_(p.values(), hyper["clipNorm"])
        adam.step()
        decoder.data = torch.nn.functional.normalize(decoder.data, dim=1)
        losses.append(loss.item())
    assert "auxK" not in hyper or since.max() >= hyper["deadVectors"], f"{architecture}: nothing died"
    final = {**{name: flat(value) for name, value in p.items()}, "sinceFired": flat(since)}
    return {"name": f"{architecture} transcoder with a linear path", "architecture": architecture, "source": "autograd", "transcoder": True, "target": "y", "skip": True, "warmupFromZero": False,
            "lossScale": 1, "hyper": hyper, "start": start, "losses": losses, "final": final}


def own_cases():
    active = {"k": 2, "auxK": 3, "auxCoefficient": 0.5}
    tracked = {"thresholdDecay": 0.9, "thresholdStart": 100}
    yield own_case("untied", {"sparsity": 0.02, "sparsityWarmupSteps": 0})
    yield own_case("topk", active)
    yield own_case("batchtopk", {**active, **tracked})
    yield own_case("matryoshka", {**active, **tracked, "groupShares": [0.25, 0.75]})
    yield own_case("jumprelu", {"sparsity": 1.0, "sparsityWarmupSteps": 0, "targetL0": 2, "bandwidth": 0.4, "beta1": 0.0})
    yield own_case("gated", {"sparsity": 0.02, "sparsityWarmupSteps": 0, "beta1": 0.0})


OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps({
    "producer": {"script": "scripts/oracle/sae_trainers.py", "torch": torch.__version__, "dictionary_learning": version("dictionary_learning")},
    "tolerance": {"loss": 1e-4, "parameters": 2e-4},
    "B": B, "D": D, "F": F, "dOut": OUT_WIDTH, "steps": STEPS, "x": flat(X), "y": flat(Y),
    "cases": [*library_cases(), *own_cases()],
}) + "\n")
print(OUT, OUT.stat().st_size, "bytes")
