"""Expected values for src/interp/classification.ts, from scikit-learn.

Balanced accuracy, F1 and ROC AUC on seeded random judgements, plain and with integer weights (what a bootstrap replicate is);
scores rounded so that many tie, one class rare, judges that always say the same.

Usage: python scripts/oracle/detection.py > test/fixtures/interp/detection.json
"""

import json
import sys

import numpy as np
import sklearn
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score


def values(truth, said, score, weights):
    return {
        "balancedAccuracy": float(balanced_accuracy_score(truth, said, sample_weight=weights)),
        "f1": float(f1_score(truth, said, sample_weight=weights, zero_division=0)),
        "auc": float(roc_auc_score(truth, score, sample_weight=weights)),
    }


def case(rng, n, share, digits, skill, always=None):
    truth = rng.random(n) < share
    truth[0], truth[1] = True, False
    score = np.round(1 / (1 + np.exp(-(skill * (truth - 0.5) + rng.normal(size=n)))), digits)
    said = score > 0.5 if always is None else np.full(n, always)
    weights = rng.integers(0, 4, size=n)
    weights[:2] = 1  # neither class vanishes
    return {
        "truth": [bool(v) for v in truth],
        "said": [bool(v) for v in said],
        "score": [float(v) for v in score],
        "weights": [int(v) for v in weights],
        "plain": values(truth, said, score, np.ones(n)),
        "weighted": values(truth, said, score, weights),
    }


def main():
    rng = np.random.default_rng(20241016)
    cases = [
        case(rng, 100, 0.5, 6, 2),
        case(rng, 100, 0.5, 1, 2),  # ties in plenty
        case(rng, 100, 0.5, 0, 1),  # only 0 and 1
        case(rng, 60, 0.05, 2, 3),
        case(rng, 41, 0.9, 2, -2),  # worse than chance
        case(rng, 20, 0.5, 3, 0),
        case(rng, 30, 0.5, 3, 1, always=True),
        case(rng, 30, 0.5, 3, 1, always=False),
    ]
    json.dump({"producer": {"python": sys.version.split()[0], "numpy": np.__version__, "scikit-learn": sklearn.__version__}, "tolerance": 1e-12, "cases": cases}, sys.stdout)
    print()


main()
