"""Holds the PyTorch adapter to PROTOCOL.md without the harness; run it by the Python that ci/adapters makes.

Random requests are trained by the adapter as its manifest launches it. In fp64 its losses must be those of
reference.py, its gradients central differences of them, its updates the formulas'. Two ranks must agree with one when
the valid targets are even, and be the mean of the ranks' means when they are not.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

import reference

ADAPTER = Path(__file__).resolve().parents[2] / "reference" / "adapters" / "pytorch_ddp"
OPTIMIZER = {"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8,
             "weight_decay": 0.01, "clip_norm": 0.0, "warmup_steps": 0, "cosine_steps": 0, "minimum_learning_rate": 0.0}
GPT = {"kind": "gpt", "layers": 2, "width": 6, "heads": 3, "mlp_width": 10, "vocabulary": 11, "sequence": 5,
       "tied": True, "dropout": 0.0}
MLP = {"kind": "mlp", "sizes": [5, 7, 3], "activation": "gelu", "loss": "squared_error"}
failures = []


def expect(what, error, bound):
    good = error <= bound  # a NaN is not
    print(f"{'ok    ' if good else 'FAILED'} {what}: {error:.1e} of {bound:.0e}")
    if not good:
        failures.append(what)


def shapes_of(model):
    if model["kind"] == "mlp":
        pairs = enumerate(zip(model["sizes"], model["sizes"][1:]))
        return {k: s for i, (a, b) in pairs for k, s in ((f"layers.{i}.weight", (b, a)), (f"layers.{i}.bias", (b,)))}
    c, h, f, v = (model[k] for k in ("width", "heads", "mlp_width", "vocabulary"))
    d = c // h
    shapes = {"wte.weight": (v, c), "wpe.weight": (model["sequence"], c)}
    for i in range(model["layers"]):
        shapes |= {f"h.{i}.ln_1.weight": (c,), f"h.{i}.ln_1.bias": (c,), f"h.{i}.attn.qkv.weight": (3, h, d, c),
                   f"h.{i}.attn.qkv.bias": (3, h, d), f"h.{i}.attn.proj.weight": (c, h, d),
                   f"h.{i}.attn.proj.bias": (c,), f"h.{i}.ln_2.weight": (c,), f"h.{i}.ln_2.bias": (c,),
                   f"h.{i}.mlp.fc.weight": (f, c), f"h.{i}.mlp.fc.bias": (f,), f"h.{i}.mlp.proj.weight": (c, f),
                   f"h.{i}.mlp.proj.bias": (c,)}
    shapes |= {"ln_f.weight": (c,), "ln_f.bias": (c,)}
    return shapes if model["tied"] else shapes | {"head.weight": (v, c)}


class Run:
    """A request in a folder, its inputs, and its evidence once it has run."""

    def __init__(self, root, name, model, optimizer, order, world_size=1, micro_batches=1, valid="uneven", stream=False,
                 overlap=True, inputs=None, checkpoint=None):
        self.folder, self.world_size, self.order = root / name, world_size, np.array(order, dtype=np.int64)
        self.model, self.optimizer = model, OPTIMIZER | optimizer
        self.parameters, self.data = copy.deepcopy(inputs) or self.draw(valid, stream)
        plan = {"data": world_size, "tensor": 1, "pipeline": 1, "chunks": 1, "micro_batches": micro_batches,
                "schedule": "1f1b", "sequence_parallel": False, "partition": [], "zero_stage": 0, "recompute": False,
                "overlap": overlap, "bucket_bytes": 512}
        line = ",".join(f"0F{m},0B{m}" for m in range(micro_batches))
        self.request = {
            "protocol": 1, "id": name,
            "workload": {"model": self.model, "optimizer": self.optimizer,
                         "data": {"kind": "seeded", "samples": 0, "uneven": False, "epochs": False, "file": "",
                                  "labels": ""},
                         "training": {"precision": "fp64", "global_batch": self.order.shape[1],
                                      "steps": len(self.order), "seed": 3}},
            "plan": plan,
            "schedule": {"name": "1f1b", "stages": 1, "micro_batches": micro_batches, "ranks": [line]},
            "evidence": {"gradients": True, "clipped_gradients": True, "parameters": True, "optimizer_state": True,
                         "ledger": True, "every": 1},
            "checkpoint": {"save_after": 0, "sharded": False, "save_to": "", "resume_from": "", "resume_step": 0}
            | (checkpoint or {})}
        self.folder.mkdir()
        (self.folder / "request.json").write_text(json.dumps(self.request))
        save_file(self.parameters, self.folder / "parameters.safetensors")
        save_file(self.data | {"order": self.order}, self.folder / "data.safetensors",
                  {"form": "stream" if "stream" in self.data else "samples"})

    def draw(self, valid, stream, samples=24):
        rng = np.random.default_rng(len(self.folder.name))
        parameters = {n: rng.normal(size=s) * 0.5 for n, s in shapes_of(self.model).items()}
        if self.model["kind"] == "gpt":
            tokens = rng.integers(0, self.model["vocabulary"], samples * self.model["sequence"] + 1).astype(np.uint16)
            if stream:
                return parameters, {"stream": tokens}
            data = {"inputs": tokens[:-1].reshape(samples, -1).astype(np.int32),
                    "targets": tokens[1:].reshape(samples, -1).astype(np.int32)}
            if valid == "uneven":
                data["targets"][rng.random(data["targets"].shape) < 0.4] = -1
        else:
            data = {"inputs": rng.normal(size=(samples, self.model["sizes"][0]))}
            if self.model["loss"] == "squared_error":
                data["targets"] = rng.normal(size=(samples, self.model["sizes"][-1]))
                if valid == "uneven":
                    data["valid"] = (rng.random(samples) < 0.6).astype(np.uint8)
            else:
                data["targets"] = rng.integers(0, self.model["sizes"][-1], samples).astype(np.int32)
                if valid == "uneven":
                    data["targets"][rng.random(samples) < 0.4] = -1
        if valid == "none":
            data["targets"][:] = -1
        return parameters, data

    def evidence(self, rank=0):
        return self.folder / "evidence" / f"rank_{rank:05d}"

    def tensors(self, step, prefix, rank=0):
        tensors = load_file(self.evidence(rank) / f"step_{step:06d}.safetensors")
        return {n[len(prefix):]: t for n, t in tensors.items() if n.startswith(prefix)}

    def steps(self, rank=0):
        lines = map(json.loads, (self.evidence(rank) / "events.jsonl").read_text().splitlines())
        return [line for line in lines if line["event"] == "step"]

    def __repr__(self):
        return self.folder.name


def launch(runs, check=True):
    manifest = tomllib.loads((ADAPTER / "trainer.toml").read_text())
    command = []
    for word in manifest["launch"]:
        values = {"{python}": sys.executable, "{world_size}": str(runs[0].world_size)}
        requests = [str(run.folder) for run in runs]
        word = word.replace("{manifest_dir}", str(ADAPTER))
        command += requests if word == "{requests}" else [values.get(word, word)]
    return subprocess.run(command, env=os.environ | manifest["environment"], check=check, timeout=300, text=True,
                          stderr=None if check else subprocess.PIPE)


def distance(a, b):
    """Largest |a - b| over the tensors, relative to the largest |b|."""
    assert a.keys() == b.keys() and a, "other tensors"
    return max(np.abs(a[n] - b[n]).max() for n in b) / max(1e-300, max(np.abs(b[n]).max() for n in b))


def check_losses(run):
    worst = 0.0
    for step, event in enumerate(run.steps(), 1):
        before, row = run.tensors(step - 1, "param/"), run.order[step - 1]
        loss, valid = reference.mean_loss(run.model, before, run.data, row[row >= 0], (3, step))
        assert event["valid_tokens"] == valid, f"{run}: valid tokens"
        worst = max(worst, abs(event["loss"] - loss) / max(abs(loss), 1.0))
    assert len(run.steps()) == len(run.order)
    expect(f"{run}: losses of {len(run.order)} steps", worst, 1e-13)


def check_gradients(run, elements=2, h=1e-5):
    """Central differences at a few elements of every parameter, at the first step."""
    rng, gradients, worst = np.random.default_rng(0), run.tensors(1, "grad/"), 0.0
    for name, tensor in run.parameters.items():
        for index in rng.integers(0, tensor.size, elements):
            sides = []
            for sign in (1, -1):
                moved = run.parameters | {name: tensor.copy()}
                moved[name].flat[index] += sign * h
                samples = run.order[0][run.order[0] >= 0]
                sides.append(reference.mean_loss(run.model, moved, run.data, samples, (3, 1))[0])
            worst = max(worst, abs((sides[0] - sides[1]) / (2 * h) - gradients[name].flat[index]))
    expect(f"{run}: gradients against central differences", worst, 1e-8)


def check_updates(run):
    """Norm, clipping, optimizer and learning rate, each step replayed from the evidence."""
    worst = 0.0
    for step, event in enumerate(run.steps(), 1):
        norm, wanted = reference.clipped(run.optimizer, run.tensors(step, "grad/"))
        got = run.tensors(step, "clipped/")
        worst = max(worst, distance(got, wanted), abs(norm - event["gradient_norm"]) / max(norm, 1e-300),
                    abs(event["learning_rate"] - reference.learning_rate(run.optimizer, step)))
        before, after = run.tensors(step - 1, "param/"), run.tensors(step, "param/")
        old, new = run.tensors(step - 1, "state/"), run.tensors(step, "state/")
        for name in before:
            state = {k.rpartition("/")[2]: t for k, t in old.items() if k.rpartition("/")[0] == name}
            p, state = reference.update(run.optimizer, name, before[name], got[name], state, step)
            worst = max(worst, np.abs(p - after[name]).max(),
                        *(np.abs(t - new[f"{name}/{k}"]).max() for k, t in state.items()), 0.0)
    expect(f"{run}: {run.optimizer['kind']}, clipping and learning rate", worst, 1e-14)


def check_alone(root):
    """One process against the formulas: both models, both losses, all optimizers, uneven everything."""
    order = [[0, 5, 3, 1, 7], [2, 8, 4, 6, 9], [10, 11, 12, -1, -1]]
    schedule = {"warmup_steps": 1, "cosine_steps": 5, "minimum_learning_rate": 0.01}
    runs = [
        Run(root, "gpt_tied", GPT, {}, order, micro_batches=3),
        Run(root, "gpt_untied_dropout", GPT | {"tied": False, "dropout": 0.3},
            {"kind": "adamw", "learning_rate": 0.01, "clip_norm": 0.5} | schedule, order, micro_batches=2),
        Run(root, "gpt_stream_one_head", GPT | {"heads": 1, "width": 7}, {"kind": "momentum"}, order, stream=True),
        Run(root, "mlp_squared_error", MLP, {"kind": "momentum", "clip_norm": 0.2} | schedule, order, micro_batches=2),
        Run(root, "mlp_cross_entropy_relu",
            MLP | {"loss": "cross_entropy", "activation": "relu", "sizes": [5, 7, 7, 3]}, {"kind": "adamw"}, order),
    ]
    silent = Run(root, "nothing_valid", GPT, {}, order[:1], valid="none")
    launch([*runs, silent])
    for run in runs:
        check_losses(run)
        check_gradients(run)
        check_updates(run)
    gradients = max(np.abs(g).max() for g in silent.tensors(1, "grad/").values())
    expect("nothing valid: loss and gradients are 0", abs(silent.steps()[0]["loss"]) + gradients, 0.0)


def check_replicas(root):
    """Two processes against one: equal where the ranks' valid targets are, else the mean of the ranks' means."""
    even = [[0, 1, 2, 3], [4, 5, 6, 7]]
    one = [Run(root, f"even_{m['kind']}_1", m, {}, even, valid="all", micro_batches=4) for m in (GPT, MLP)]
    two = [Run(root, f"even_{r.model['kind']}_2", r.model, {}, even, 2, 2, inputs=(r.parameters, r.data)) for r in one]
    held = Run(root, "no_overlap", GPT, {}, even, 2, 2, overlap=False, inputs=(one[0].parameters, one[0].data))
    uneven = Run(root, "uneven_2", GPT, {}, [[0, 1, 2, 3, 4]], 2, 2)
    inputs = (uneven.parameters, uneven.data)
    halves = [Run(root, f"uneven_half_{row[0]}", GPT, {}, [row], 1, inputs=inputs) for row in ([0, 1, 2], [3, 4])]
    whole = Run(root, "uneven_1", GPT, {}, [[0, 1, 2, 3, 4]], 1, inputs=inputs)
    lonely = Run(root, "more_ranks_than_samples", MLP, {}, [[6, -1]], 2, 2)
    launch([*one, *halves, whole])
    launch([*two, held, uneven, lonely])
    for a, b in zip(two, one):
        for step in (1, 2):
            expect(f"{a} is {b}, step {step}", distance(a.tensors(step, "grad/"), b.tensors(step, "grad/")), 1e-12)
        expect(f"{a} is {b}, losses", max(abs(x["loss"] - y["loss"]) for x, y in zip(a.steps(), b.steps())), 1e-12)
    for a in (*two, held, uneven):
        expect(f"{a}: ranks agree to the bit", distance(a.tensors(1, "param/", 0), a.tensors(1, "param/", 1)), 0.0)
    expect("no overlap, the same bits", distance(held.tensors(2, "param/"), two[0].tensors(2, "param/")), 0.0)
    hello = json.loads((held.evidence() / "hello.json").read_text())["effective"]["plan"]
    expect("effective plans are the requests'", float(hello != held.request["plan"]), 0.0)
    means = {n: (t + halves[1].tensors(1, "grad/")[n]) / 2 for n, t in halves[0].tensors(1, "grad/").items()}
    expect("uneven ranks: the mean of means", distance(uneven.tensors(1, "grad/"), means), 1e-12)
    loss = sum(half.steps()[0]["loss"] for half in halves) / 2
    expect("uneven ranks: its loss", abs(uneven.steps()[0]["loss"] - loss), 1e-12)
    apart = distance(uneven.tensors(1, "grad/"), whole.tensors(1, "grad/"))
    expect("uneven ranks: not the global mean (1 / distance)", 1 / max(apart, 1e-300), 1e4)


def check_resume(root):
    order = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    optimizer = {"kind": "adamw", "warmup_steps": 2, "cosine_steps": 4}
    saving = {"save_after": 2, "save_to": "saved"}
    through = Run(root, "through", GPT, optimizer, order, 2, valid="all", checkpoint=saving)
    resumed = {"resume_from": "../through/saved", "resume_step": 2}
    after = Run(root, "after", GPT, optimizer, order, 2, inputs=(through.parameters, through.data), checkpoint=resumed)
    launch([through, after])
    for step in (2, 3, 4):
        for kind in ("param/", "state/"):
            apart = distance(after.tensors(step, kind), through.tensors(step, kind))
            expect(f"resumed at 2: step {step}, {kind}", apart, 0.0)


def check_refusals(root):
    for name, world_size, change in (("misspelt", 1, lambda r: r["plan"].update(bucket_byte=1)),
                                     ("wrong_type", 2, lambda r: r["workload"]["training"].update(steps="3")),
                                     ("beyond", 1, lambda r: r["plan"].update(tensor=2))):
        run = Run(root, name, MLP, {}, [[0, 1]], world_size)
        change(run.request)
        (run.folder / "request.json").write_text(json.dumps(run.request))
        ended = launch([run], check=False)
        line = ended.stderr.strip()
        good = ended.returncode == 2 and "request.json" in line and "\n" not in line
        expect(f"refused with one line: {line.rpartition('/')[2]}", float(not good), 0.0)


def check_dropout():
    sys.path.insert(0, str(ADAPTER))
    from model import dropout_uniforms  # the one piece of the adapter that is looked at by itself

    for (seed, step, sample, site, position), row, numbers in (
            ((1, 1, 0, 0, 0), 0xAEBF9C7AA1FCE165, (8133987, 3619930, 4095838)),
            ((1, 1, 5, 3, 7), 0x0EFB6C5D9BD54909, (2019705, 13887146, 12662897)),
            ((42, 9, 123456789, 2, 15), 0xDCFD06A04FBD388D, (7923062, 8851915, 3997292))):
        assert reference.row_key(seed, step, sample, site, position) == row
        got = dropout_uniforms(seed, step, [sample], site, position + 1, 1024)[0, position, [0, 1, 1023]] * 2.0**24
        expect(f"dropout, test value {row:#x}", np.abs(got - numbers).max(), 0.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="an empty folder for the runs; else a temporary one")
    keep = parser.parse_args().keep
    check_dropout()
    with tempfile.TemporaryDirectory() as temporary:
        for check in (check_alone, check_replicas, check_resume, check_refusals):
            root = (keep or Path(temporary)) / check.__name__
            root.mkdir(parents=True)
            check(root)
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
