"""Writes test/fixtures/dictionary/tied_sae.json: steps of the tied sparse autoencoder by PyTorch's autograd and torch.optim.Adam.

    python scripts/oracle/tied_sae.py

The model is written as the paper's code defines it (arXiv 2309.08600; loss of FunctionalTiedSAE), with no backward pass of
its own. Two cases: ordinary rows, and one row shorter than the 1e-8 floor, where the clamp's gradient differs.
"""
import json
from pathlib import Path

import torch

OUT = Path(__file__).parents[2] / "test/fixtures/dictionary/tied_sae.json"
B, D, F, STEPS, LR = 8, 6, 10, 12, 1e-3


def loss_of(rows, bias, x, l1):
    w = rows / torch.clamp(rows.norm(dim=1, keepdim=True), min=1e-8)
    c = torch.relu(x @ w.T + bias)
    mse = ((c @ w - x) ** 2).mean()
    return mse + l1 * c.abs().sum(dim=1).mean(), mse, (c > 0).float().sum(dim=1).mean()


def case(name, l1, tiny_row):
    torch.manual_seed(0)
    rows = torch.empty(F, D)
    torch.nn.init.xavier_uniform_(rows)
    if tiny_row:
        rows[3] *= 1e-9 / rows[3].norm()
    bias = 0.1 * torch.randn(F)
    x = torch.randn(STEPS, B, D)
    parameters = [torch.nn.Parameter(rows.clone()), torch.nn.Parameter(bias.clone())]
    adam = torch.optim.Adam(parameters, lr=LR)
    steps, first_gradient = [], None
    for batch in x:
        adam.zero_grad()
        loss, mse, l0 = loss_of(*parameters, batch, l1)
        loss.backward()
        first_gradient = first_gradient or [p.grad.flatten().tolist() for p in parameters]
        adam.step()
        steps.append({"loss": loss.item(), "mse": mse.item(), "l0": l0.item()})
    final = [p.detach() for p in parameters] + [adam.state[p][key] for p in parameters for key in ("exp_avg", "exp_avg_sq")]
    return {
        "name": name, "l1": l1, "rows": rows.flatten().tolist(), "bias": bias.tolist(), "x": x.flatten().tolist(), "steps": steps,
        "firstGradient": dict(zip(("rows", "bias"), first_gradient)),
        "final": dict(zip(("rows", "bias", "rows.m", "rows.v", "bias.m", "bias.v"), (t.flatten().tolist() for t in final))),
    }


OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text(json.dumps({
    "producer": {"script": "scripts/oracle/tied_sae.py", "torch": torch.__version__},
    "tolerance": {"gradient": 1e-5, "afterSteps": 1e-4},
    "B": B, "D": D, "F": F, "learningRate": LR,
    "cases": [case("ordinary", 0.02, False), case("one row below the norm floor", 0.02, True)],
}) + "\n")
print(OUT, OUT.stat().st_size, "bytes")
