"""Writes test/fixtures/formats/{dictionary_learning,learned_dicts,torch}: small dictionaries made and saved by the original
libraries' own classes, each with the library's own codes and reconstructions of the same vectors.

    python scripts/oracle/foreign_pt.py SPARSE_CODING [--check FOLDER]

SPARSE_CODING is a git directory of github.com/HoagyC/sparse_coding, whose autoencoders/learned_dict.py and topk_encoder.py are
read from its HEAD. dictionary_learning is imported as installed. The second form writes nothing: it loads the dictionary_learning
folders below FOLDER, each with a vectors.json, by the library's loader and prints its codes and reconstructions as JSON.
"""
import json
import subprocess
import sys
import types
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

OUT = Path(__file__).parents[2] / "test/fixtures/formats"
D, F, K, N = 6, 12, 3, 5
VERSIONS = {"torch": torch.__version__, "dictionary_learning": version("dictionary-learning"), "numpy": np.__version__}


def vectors(seed):
    return 2 * torch.randn(N, D, generator=torch.Generator().manual_seed(seed)) + 0.5


def expect(folder, x, codes, reconstruction, **more):
    said = {"versions": VERSIONS, **more, "vectors": x.tolist(), "codes": codes.tolist(), "reconstruction": reconstruction.tolist()}
    (folder / "expected.json").write_text(json.dumps(said) + "\n")


@torch.no_grad()
def answer(folder, x):
    """Codes and reconstructions by the library's own loader and classes."""
    # Its utils also read corpora; what they need for that is not needed here.
    for name in ("zstandard", "datasets", "nnsight"):
        sys.modules.setdefault(name, types.SimpleNamespace(load_dataset=None, LanguageModel=None, __spec__=None))
    from dictionary_learning.utils import load_dictionary

    dictionary, _ = load_dictionary(str(folder), "cpu")
    codes = dictionary.encode(x)
    return codes, dictionary.decode(codes)


class Data:
    """Batches, and the config of the library's own buffer."""

    config = {"d_submodule": D, "io": "out", "n_ctxs": 8, "ctx_len": 16, "refresh_batch_size": 4, "out_batch_size": 32, "device": "cpu"}

    def __init__(self, steps):
        generator = torch.Generator().manual_seed(7)
        basis = torch.randn(F, D, generator=generator)
        self.batches = [(torch.rand(32, F, generator=generator) * (torch.rand(32, F, generator=generator) < 0.25)) @ basis * 3 + 0.5 for _ in range(steps + 101)]

    def __iter__(self):
        return iter(self.batches)


def dictionary_learning():
    from dictionary_learning.dictionary import AutoEncoderNew
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer
    from dictionary_learning.trainers.gdm import GatedSAETrainer
    from dictionary_learning.trainers.jumprelu import JumpReluTrainer
    from dictionary_learning.trainers.matryoshka_batch_top_k import MatryoshkaBatchTopKTrainer
    from dictionary_learning.trainers.standard import StandardTrainer, StandardTrainerAprilUpdate
    from dictionary_learning.trainers.top_k import TopKTrainer
    from dictionary_learning.training import trainSAE

    steps = 30
    every = dict(activation_dim=D, dict_size=F, steps=steps, lr=0.02, warmup_steps=2, seed=0, device="cpu", layer=2, lm_name="EleutherAI/pythia-70m-deduped", submodule_name="resid_post_layer_2")
    batched = dict(every, k=K, decay_start=20, threshold_start_step=5)
    cases = {
        "standard": dict(every, trainer=StandardTrainer, l1_penalty=0.05, sparsity_warmup_steps=2, resample_steps=None),
        "april": dict(every, trainer=StandardTrainerAprilUpdate, l1_penalty=0.05, sparsity_warmup_steps=2, submodule_name="gpt_neox.layers.2.mlp"),
        "gated": dict(every, trainer=GatedSAETrainer, l1_penalty=0.05, sparsity_warmup_steps=2, submodule_name=None),
        "jumprelu": dict(every, trainer=JumpReluTrainer, target_l0=3.0, sparsity_warmup_steps=2, submodule_name="gpt_neox.layers.2"),
        "topk": dict(batched, trainer=TopKTrainer),
        "batchtopk": dict(batched, trainer=BatchTopKTrainer),
        "matryoshka": dict(batched, trainer=MatryoshkaBatchTopKTrainer, group_fractions=[0.25, 0.75]),
        "untrained": dict(batched, trainer=BatchTopKTrainer, threshold_start_step=1000),
    }
    root = OUT / "dictionary_learning"
    for seed, (name, config) in enumerate(cases.items()):
        folder = root / name
        config = dict(config)
        # Half of them with the library's own scaling of activations, which it undoes in what it saves.
        trainSAE(Data(steps), [config], steps, save_dir=str(folder), normalize_activations=seed % 2 == 1, device="cpu", autocast_dtype=torch.float32, log_steps=10**9)
        for file in (folder / "trainer_0").iterdir():
            if file.is_file():
                file.replace(folder / file.name)
        (folder / "trainer_0").rmdir()
        x = vectors(seed)
        expect(folder, x, *answer(folder, x))
    # No trainer of the library says AutoEncoderNew in its config; the class itself saves this.
    folder = root / "new"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    dictionary = AutoEncoderNew(D, F)
    torch.nn.init.normal_(dictionary.encoder.bias, std=0.3)
    torch.nn.init.normal_(dictionary.decoder.bias, std=0.3)
    dictionary.decoder.weight.data *= 3
    torch.save(dictionary.state_dict(), folder / "ae.pt")
    (folder / "config.json").write_text(json.dumps({"trainer": {"dict_class": "AutoEncoderNew", "activation_dim": D, "dict_size": F}}) + "\n")
    x = vectors(20)
    expect(folder, x, *answer(folder, x))


def original_module(git, path, name):
    """A module of sparse_coding by its own name, which is what its pickles mention."""
    source = subprocess.run(["git", "--git-dir", git, "show", f"HEAD:{path}"], check=True, capture_output=True, text=True).stdout
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, path, "exec"), module.__dict__)
    return module


@torch.no_grad()
def learned_dicts(git):
    class Annotation:
        def __class_getitem__(cls, _):
            return cls

    # What the two files import beside torch: annotations and a base class without content that matters here.
    sys.modules["torchtyping"] = types.SimpleNamespace(TensorType=Annotation)
    sys.modules["autoencoders"] = types.ModuleType("autoencoders")
    sys.modules["autoencoders.ensemble"] = types.SimpleNamespace(DictSignature=type("DictSignature", (), {}))
    module = original_module(git, "autoencoders/learned_dict.py", "autoencoders.learned_dict")
    topk = original_module(git, "autoencoders/topk_encoder.py", "autoencoders.topk_encoder")
    generator = torch.Generator().manual_seed(11)

    def randn(*shape):
        return torch.randn(*shape, generator=generator)

    eye, ones = torch.eye(D), torch.ones(D)
    rotation = torch.linalg.qr(randn(D, D))[0]
    # Ensembles are trained stacked and saved as slices of one storage.
    encoders, biases = randn(2, F, D), 0.3 * randn(2, F)
    dicts = [
        (module.TiedSAE(encoders[0], biases[0], centering=(torch.zeros(D), eye, ones), norm_encoder=True), {"dict_size": F, "l1_alpha": 0.00086}),
        (module.TiedSAE(encoders[1], biases[1], centering=(randn(D), eye, ones), norm_encoder=True), {"dict_size": F, "l1_alpha": np.float64(0.001)}),
        (module.TiedSAE(randn(F, D), 0.3 * randn(F), centering=(randn(D), rotation, ones), norm_encoder=True), {"dict_size": F, "l1_alpha": np.float32(0.5)}),
        (module.TiedSAE(randn(F, D), 0.3 * randn(F), centering=(randn(D), rotation, 0.5 + torch.rand(D, generator=generator)), norm_encoder=True), {"dict_size": np.int64(F)}),
        (module.TiedSAE(randn(F, D), 0.3 * randn(F), centering=(torch.zeros(D), eye, ones), norm_encoder=False), {}),
        (module.UntiedSAE(randn(F, D), randn(F, D), 0.3 * randn(F)), {"dict_size": F}),
        (topk.TopKLearnedDict(torch.nn.functional.normalize(randn(F, D), dim=-1), 4), {"sparsity": 4}),
        (module.RandomDict(D, F), {}),
    ]
    folder = OUT / "learned_dicts"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(dicts, folder / "learned_dicts.pt")
    x = vectors(30)
    commit = subprocess.run(["git", "--git-dir", git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    codes = torch.stack([entry.encode(entry.center(x)) for entry, _ in dicts])
    expect(folder, x, codes, torch.stack([entry.predict(x) for entry, _ in dicts]), sparse_coding=commit)


def torch_files():
    """Every element type, view and protocol that the reader must know."""
    folder = OUT / "torch"
    folder.mkdir(parents=True, exist_ok=True)
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7
    values = {
        "float32": base,
        "float16": base.half(),
        "bfloat16": base.bfloat16(),
        "float64": base.double() + 1e-12,
        "int64": torch.tensor([[1, -2], [3, 4]]),
        "int32": torch.tensor(5, dtype=torch.int32),
        "bool": torch.tensor([True, False]),
        "transposed": base.T,
        "sliced": base[1:3, 1::2],
        "row": base[2],
        "parameter": torch.nn.Parameter(base[:, 0]),
        "cube": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4).permute(2, 0, 1),
        "empty": torch.zeros(0, 3),
    }
    for protocol in (2, 3, 4, 5):
        torch.save(values, folder / f"types-{protocol}.pt", pickle_protocol=protocol)
    shown = {name: {"shape": list(value.shape), "values": value.detach().float().flatten().tolist()} for name, value in values.items()}
    (folder / "types.json").write_text(json.dumps({"versions": VERSIONS, "tensors": shown}) + "\n")
    torch.save({"x": base}, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), folder / "script.pt")
    torch.save({"x": torch.zeros(1).expand(1000)}, folder / "expanded.pt")


def npz_files():
    folder = OUT / "npz"
    folder.mkdir(parents=True, exist_ok=True)
    a = np.arange(12, dtype=np.float32).reshape(3, 4) / 7
    arrays = {"f4": a, "f2": a.astype("f2"), "f8": a.astype("f8"), "big": a.astype(">f4"), "fortran": np.asfortranarray(a), "i8": np.arange(3), "scalar": np.float32(2.5), "empty": np.zeros((0, 3), "f4")}
    np.savez(folder / "stored.npz", **arrays)
    np.savez_compressed(folder / "packed.npz", **arrays)
    np.savez(folder / "refused.npz", objects=np.array([1, "a"], dtype=object), structured=np.zeros(2, dtype=[("x", "f4")]), complex=np.zeros(2, dtype="c8"))
    shown = {name: {"shape": list(np.shape(value)), "values": np.asarray(value, dtype="f4").flatten().tolist()} for name, value in arrays.items()}
    (folder / "expected.json").write_text(json.dumps({"versions": VERSIONS, "arrays": shown}) + "\n")


def check(folder):
    found = {}
    for path in sorted(Path(folder).rglob("vectors.json")):
        codes, reconstruction = answer(path.parent, torch.tensor(json.loads(path.read_text())))
        found[path.parent.name] = {"codes": codes.tolist(), "reconstruction": reconstruction.tolist()}
    print(json.dumps(found))


if __name__ == "__main__":
    torch.set_num_threads(1)
    if "--check" in sys.argv:
        check(sys.argv[sys.argv.index("--check") + 1])
    else:
        dictionary_learning()
        learned_dicts(sys.argv[1])
        torch_files()
        npz_files()
