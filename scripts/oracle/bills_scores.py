"""Expected values for the scoring arithmetic of src/interp, from numpy.

Bills et al. 2023 score an explanation by numpy.corrcoef over the concatenated true and simulated activations
(ev_correlation_score) and show activations as min(10, floor(10 * relu(a) / max)). This computes both on seeded random
fragments, some with large offsets so that a careless one-pass formula fails, and bootstrap quantiles by numpy.quantile.

Usage: python scripts/oracle/bills_scores.py > test/fixtures/interp/bills_scores.json
"""

import json
import sys

import numpy as np


def fragments(rng, count, length, offset, noise):
    out = []
    for _ in range(count):
        truth = np.maximum(0, rng.normal(size=length) - 1) * 7 + offset
        simulated = np.maximum(0, truth * 0.5 + noise * rng.normal(size=length))
        out.append({"truth": [float(np.float32(v)) for v in truth], "simulated": [float(np.float32(v)) for v in simulated]})
    return out


def correlation(items):
    truth = np.concatenate([f["truth"] for f in items])
    simulated = np.concatenate([f["simulated"] for f in items])
    return float(np.corrcoef(truth, simulated)[0, 1])


def main():
    rng = np.random.default_rng(20230926)
    cases = []
    for count, length, offset, noise in [(10, 64, 0, 0.5), (10, 64, 0, 4), (1, 16, 0, 1), (3, 7, 5000, 1), (5, 20, -3, 9)]:
        items = fragments(rng, count, length, offset, noise)
        cases.append({"fragments": items, "correlation": correlation(items)})
    activations = [float(np.float32(v)) for v in rng.normal(size=40) * 3]
    top = max(activations)
    levels = [int(min(10, np.floor(10 * max(0.0, a) / top))) for a in activations]
    values = sorted(float(v) for v in rng.normal(size=23))
    json.dump(
        {
            "producer": {"python": sys.version.split()[0], "numpy": np.__version__},
            "tolerance": 1e-9,
            "correlations": cases,
            "discretise": {"activations": activations, "max": top, "levels": levels},
            "quantiles": {"values": values, "at": [0.025, 0.5, 0.975], "expected": [float(v) for v in np.quantile(values, [0.025, 0.5, 0.975])]},
        },
        sys.stdout,
    )
    print()


main()
