"""Expected values for src/interp from the program that Bills et al. 2023 published.

Runs the scoring, calibration, splitting and response-parsing functions of the package neuron-explainer on seeded data, among it
texts where a side is constant, ties, values beyond the calibration text, and offsets that a careless one-pass formula fails on.

Needs: pip install neuron-explainer==0.0.1 scikit-learn orjson blobfile boostedblob
Usage: python scripts/oracle/bills_package.py test/fixtures/interp
Writes bills_package.json (calibrations, splits, expected values) and bills_results.jsonl (NeuronSimulationResults as the package
writes them, one neuron a line).
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import numpy as np
import sklearn

# The package does not load without a key; nothing here asks a server.
os.environ.setdefault("OPENAI_API_KEY", "none")

from neuron_explainer.activations.activations import ActivationRecord, ActivationRecordSliceParams, NeuronId, NeuronRecord
from neuron_explainer.explanations.calibrated_simulator import (
    LinearCalibratedNeuronSimulator,
    PercentileMatchingCalibratedNeuronSimulator,
    UncalibratedNeuronSimulator,
)
from neuron_explainer.explanations.explanations import ActivationScale, NeuronSimulationResults, ScoredExplanation, SequenceSimulation
from neuron_explainer.explanations.prompt_builder import PromptFormat
from neuron_explainer.explanations.scoring import simulate_and_score
from neuron_explainer.explanations.simulator import NeuronSimulator, parse_simulation_response
from neuron_explainer.fast_dataclasses.fast_dataclasses import dumps

LENGTH = 24


class Told(NeuronSimulator):
    """Predicts what it was told for each text."""

    def __init__(self, values):
        self.values = values

    async def simulate(self, tokens):
        values = self.values[tuple(tokens)]
        return SequenceSimulation(
            tokens=list(tokens),
            expected_activations=list(values),
            activation_scale=ActivationScale.SIMULATED_NORMALIZED_ACTIVATIONS,
            distribution_values=[],
            distribution_probabilities=[],
        )


def text(name, i):
    return [f"{name}{i}.{t}" for t in range(LENGTH)]


def neuron(rng, offset, noise, whole, silent):
    """Records and simulated values of one neuron; `whole` simulates whole numbers (ties), `silent` leaves a text constant."""
    records = {"top": [], "random": []}
    told = {}
    for kind, count in (("top", 8), ("random", 6)):
        for i in range(count):
            truth = np.maximum(0, rng.normal(size=LENGTH) - (0.3 if kind == "top" else 1.2)) * 4 + offset
            simulated = np.clip(2 * (truth - offset) + noise * rng.normal(size=LENGTH), 0, 10)
            if whole:
                simulated = np.round(simulated)
            if silent and i == 1:
                simulated[:] = 0
            truth = [float(np.float32(v)) for v in truth]
            tokens = text(kind, i)
            records[kind].append(ActivationRecord(tokens=tokens, activations=truth))
            told[tuple(tokens)] = [float(v) for v in simulated]
    return records, told


async def calibration_case(rng, offset, noise, whole):
    records, told = neuron(rng, offset, noise, whole, silent=False)
    record = NeuronRecord(neuron_id=NeuronId(0, 0), random_sample=records["random"], most_positive_activation_records=records["top"])
    params = ActivationRecordSliceParams(n_examples_per_split=None)
    calibration = record.calibration_activation_records(params)
    valid = record.valid_activation_records(params)
    out = {
        "calibration": [{"truth": r.activations, "simulated": told[tuple(r.tokens)]} for r in calibration],
        "top": [{"truth": r.activations, "simulated": told[tuple(r.tokens)]} for r in valid[: len(valid) // 2]],
        "random": [{"truth": r.activations, "simulated": told[tuple(r.tokens)]} for r in valid[len(valid) // 2 :]],
    }
    for name, cls in (("none", UncalibratedNeuronSimulator), ("linear", LinearCalibratedNeuronSimulator), ("percentile", PercentileMatchingCalibratedNeuronSimulator)):
        simulator = await cls.create(Told(told), calibration)
        scored = await simulate_and_score(simulator, valid)
        probe = [-3.0, 0.0, 0.4, 1.0, 2.0, 3.3, 7.0, 10.0, 12.5]
        out[name] = {
            "correlation": scored.ev_correlation_score,
            "rsquared": scored.rsquared_score,
            "absdev": scored.absolute_dev_explained_score,
            "probe": probe,
            "applied": [float(v) for v in simulator.apply_calibration(probe)],
        }
    return out


async def results(rng, layer, index):
    explanations = []
    for e, (offset, noise, whole) in enumerate([(0, 1.0, False), (-0.17, 3.0, True), (300, 2.0, False)]):
        records, told = neuron(rng, offset, noise, whole, silent=e == 1)
        simulator = UncalibratedNeuronSimulator(Told(told))
        scored = await simulate_and_score(simulator, records["top"][:3] + records["random"][:2])
        explanations.append(ScoredExplanation(explanation=f' words with a "quote" and NaN, {e}', scored_simulation=scored))
    return NeuronSimulationResults(neuron_id=NeuronId(layer, index), scored_explanations=explanations)


def splits():
    tops = [ActivationRecord(tokens=[str(i)], activations=[float(100 - i)]) for i in range(22)]
    randoms = [ActivationRecord(tokens=[str(i)], activations=[float(i)]) for i in range(20)]
    record = NeuronRecord(neuron_id=NeuronId(0, 0), random_sample=randoms, most_positive_activation_records=tops)
    params = ActivationRecordSliceParams(n_examples_per_split=None)
    names = {"train": record.train_activation_records, "calibration": record.calibration_activation_records, "valid": record.valid_activation_records, "test": record.test_activation_records}
    return {"top": len(tops), "random": len(randoms), "activations": {name: [r.activations[0] for r in get(params)] for name, get in names.items()}}


def readings(rng):
    """Responses of the completions endpoint as the package parses them: one piece per token, tab and unknown; a split token; a newline folded into a token."""
    cases = []
    for pieces_of in ("plain", "split", "folded"):
        tokens = [" the", " cat", "#", " sat", "."]
        pieces, tops = ["<", "start", ">", "\n"], [None] * 4
        for i, token in enumerate(tokens):
            if pieces_of == "split" and token == " sat":
                parts = [" s", "at"]
            elif pieces_of == "folded" and token == "#":
                pieces[-1] = "\n#"  # the line end before the token and the token in one piece
                parts = []
            else:
                parts = [token]
            logits = rng.normal(size=14)
            p = np.exp(logits) / np.exp(logits).sum() * 0.9
            names = [str(k) for k in range(11)] + ["unknown", " ", "\n"]
            keep = sorted(range(14), key=lambda k: -p[k])[:11]
            pieces += parts + ["\t", "unknown", "\n"]
            tops += [{}] * (len(parts) + 1) + [{names[k]: float(np.log(p[k])) for k in keep}] + [{}]
        pieces += ["<", "end", ">", "\n"]
        tops += [{}] * 4
        offsets = np.cumsum([0] + [len(x) for x in pieces])[:-1].tolist()
        response = {"choices": [{"text": "".join(pieces), "logprobs": {"tokens": pieces, "token_logprobs": [0.0] * len(pieces), "top_logprobs": tops, "text_offset": offsets}}]}
        parsed = parse_simulation_response(response, PromptFormat.NONE, tokens)
        cases.append({"name": pieces_of, "tokens": tokens, "pieces": [{"text": t, "offset": o, "top": [{"text": k, "logprob": v} for k, v in (top or {}).items()]} for t, o, top in zip(pieces, offsets, tops)], "expected": [float(v) for v in parsed.expected_activations]})
    return cases


async def main(folder):
    rng = np.random.default_rng(20230509)
    producer = {"python": sys.version.split()[0], "numpy": np.__version__, "scikit-learn": sklearn.__version__, "neuron-explainer": "0.0.1"}
    cases = [await calibration_case(rng, *args) for args in [(0, 1.0, False), (-0.17, 2.0, True), (0, 8.0, True), (50, 1.0, False)]]
    (folder / "bills_package.json").write_text(json.dumps({"producer": producer, "tolerance": 1e-9, "calibrations": cases, "splits": splits(), "readings": readings(rng)}) + "\n")
    lines = [dumps(await results(rng, 3, i)) for i in (7, 41)]
    (folder / "bills_results.jsonl").write_bytes(b"\n".join(lines) + b"\n")


if __name__ == "__main__":
    np.seterr(all="ignore")
    asyncio.run(main(Path(sys.argv[1])))
