"""Writes test/fixtures/baselines/*.json: covariance by numpy, FastICA and NMF by scikit-learn, on small synthetic data.

    python scripts/oracle/baselines.py

Data are float32 (written with nine digits, so they read back exactly); the libraries compute in float64. Sources are only
correlated with and keep five digits.
"""
import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.decomposition import NMF, FastICA

OUT = Path(__file__).parents[2] / "test/fixtures/baselines"
PRODUCER = {"numpy": np.__version__, "scikit-learn": sklearn.__version__}


def numbers(array, digits=9):
    array = np.asarray(array)
    if array.dtype == np.float32:
        return [float(f"{v:.{digits}g}") for v in array.flatten()]
    return array.flatten().tolist()


def write(name, record):
    record = {"producer": PRODUCER, **record}
    (OUT / f"{name}.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")


def covariance(rng):
    n, d = 150, 6
    # One dimension far from zero with little variance, one with much: the residual stream's outliers.
    x = (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + [0, 4000, 0, -30, 1, 0]).astype(np.float32)
    x[:, 1] = (4000 + 0.01 * rng.normal(size=n)).astype(np.float32)
    x[:, 3] *= 100
    wide = x.astype(np.float64)
    cov = np.cov(wide, rowvar=False, ddof=0)
    write("covariance", {"n": n, "d": d, "x": numbers(x), "mean": numbers(wide.mean(0)), "covariance": numbers(cov), "eigenvalues": numbers(np.linalg.eigvalsh(cov)[::-1])})


def ica(rng):
    n = 800
    t = np.arange(n)
    sources = np.stack([rng.laplace(size=n), rng.exponential(size=n) - 1, rng.uniform(-1, 1, size=n), np.sign(np.sin(t / 7.3)) * (1 + 0.1 * rng.normal(size=n))], 1)
    sources /= sources.std(0)
    mixing = rng.normal(size=(4, 4))
    x = (sources @ mixing.T + [3, -1, 0, 10]).astype(np.float32)
    fit = FastICA(random_state=0, whiten="unit-variance")
    found = fit.fit_transform(x.astype(np.float64))
    write("ica", {"n": n, "d": 4, "x": numbers(x), "mixing": numbers(mixing), "sources": numbers(sources.astype(np.float32), 5), "found": numbers(found.astype(np.float32), 5)})


def nmf(rng):
    n, d, f, iterations = 60, 8, 5, 40
    x = (np.abs(rng.normal(size=(n, f))) @ np.abs(rng.normal(size=(f, d))) + 0.1 * rng.normal(size=(n, d)) - 2).astype(np.float32)
    shifted = x.astype(np.float64) - x.min(0)
    codes = np.abs(rng.normal(size=(n, f))).astype(np.float32)
    rows = np.abs(rng.normal(size=(f, d))).astype(np.float32)
    fit = NMF(n_components=f, init="custom", solver="mu", max_iter=iterations, tol=0)
    w = fit.fit_transform(shifted, W=codes.astype(np.float64), H=rows.astype(np.float64))
    best = NMF(n_components=f, init="nndsvda", solver="cd", max_iter=2000, tol=1e-8)
    best.fit(shifted)
    write("nmf", {"n": n, "d": d, "f": f, "iterations": iterations, "x": numbers(x), "codes0": numbers(codes), "rows0": numbers(rows), "codes": numbers(w), "rows": numbers(fit.components_), "error": float(np.linalg.norm(shifted - w @ fit.components_)), "bestError": float(best.reconstruction_err_)})


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for name, make in [("covariance", covariance), ("ica", ica), ("nmf", nmf)]:
        make(np.random.default_rng(7))
