"""Reads a request's folder. What is not as PROTOCOL.md has it is refused with one line that names file and field."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

MODELS = {
    "gpt": {"kind": str, "layers": int, "width": int, "heads": int, "mlp_width": int, "vocabulary": int,
            "sequence": int, "tied": bool, "dropout": float},
    "mlp": {"kind": str, "sizes": [int], "activation": str, "loss": str},
}
FIELDS = {
    "protocol": int, "id": str,
    "workload": {
        "model": dict,
        "optimizer": {"kind": str, "learning_rate": float, "momentum": float, "beta1": float, "beta2": float,
                      "epsilon": float, "weight_decay": float, "clip_norm": float, "warmup_steps": int,
                      "cosine_steps": int, "minimum_learning_rate": float},
        "data": {"kind": str, "samples": int, "uneven": bool, "epochs": bool, "file": str, "labels": str},
        "training": {"precision": str, "global_batch": int, "steps": int, "seed": int}},
    "plan": {"data": int, "tensor": int, "pipeline": int, "chunks": int, "micro_batches": int, "schedule": str,
             "sequence_parallel": bool, "partition": [int], "zero_stage": int, "recompute": bool, "overlap": bool,
             "bucket_bytes": int},
    "schedule": {"name": str, "stages": int, "micro_batches": int, "ranks": [str]},
    "evidence": {"gradients": bool, "clipped_gradients": bool, "parameters": bool, "optimizer_state": bool,
                 "ledger": bool, "every": int},
    "checkpoint": {"save_after": int, "sharded": bool, "save_to": str, "resume_from": str, "resume_step": int},
}


class BadRequest(Exception):
    """One line: file, field, what is wrong."""


def _check(value, kind, where):
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            raise BadRequest(f"{where}: not an object")
        for key in [*kind, *value]:
            if key not in kind or key not in value:
                raise BadRequest(f"{where}.{key}: {'missing' if key in kind else 'unknown'}")
            _check(value[key], kind[key], f"{where}.{key}")
    elif isinstance(kind, list):
        if not isinstance(value, list):
            raise BadRequest(f"{where}: not an array")
        for i, item in enumerate(value):
            _check(item, kind[0], f"{where}[{i}]")
    else:
        allowed = (int, float) if kind is float else kind
        if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
            raise BadRequest(f"{where}: not of type {kind.__name__}")


def read_request(folder, world_size):
    """request.json as a dict, checked against the format and against what this trainer can do."""
    path = Path(folder) / "request.json"
    try:
        request = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadRequest(f"{path}: {error}") from error
    _check(request, FIELDS, f"{path}: request")
    workload, plan = request["workload"], request["plan"]
    model, training = workload["model"], workload["training"]
    _check(model, MODELS.get(model.get("kind"), {"kind": str}), f"{path}: workload.model")
    units = model["layers"] if model["kind"] == "gpt" else len(model.get("sizes", [])) - 1
    can = {
        "protocol": (request["protocol"], [1]),
        "workload.model.kind": (model["kind"], list(MODELS)),
        "workload.model.activation": (model.get("activation", "gelu"), ["relu", "gelu"]),
        "workload.model.loss": (model.get("loss", "cross_entropy"), ["squared_error", "cross_entropy"]),
        "workload.optimizer.kind": (workload["optimizer"]["kind"], ["sgd", "momentum", "adamw"]),
        "workload.training.precision": (training["precision"], ["fp64", "fp32"]),
        "plan.data": (plan["data"], [world_size]),
        "plan.tensor": (plan["tensor"], [1]), "plan.pipeline": (plan["pipeline"], [1]),
        "plan.chunks": (plan["chunks"], [1]), "plan.schedule": (plan["schedule"], ["1f1b"]),
        "plan.partition": (plan["partition"], [[], [units]]), "plan.zero_stage": (plan["zero_stage"], [0]),
        "plan.sequence_parallel": (plan["sequence_parallel"], [False]), "plan.recompute": (plan["recompute"], [False]),
        "checkpoint.sharded": (request["checkpoint"]["sharded"], [False]),
    }
    for field, (value, values) in can.items():
        if value not in values:
            raise BadRequest(f"{path}: {field}: {value!r} is not one of {values}")
    counts = {"workload.training.steps": training["steps"], "plan.micro_batches": plan["micro_batches"],
              "workload.training.global_batch": training["global_batch"],
              "evidence.every": request["evidence"]["every"]}
    for field, value in counts.items():
        if value < 1:
            raise BadRequest(f"{path}: {field}: {value} is below 1")
    return request


def read_tensors(path):
    """(metadata, {name: array}) of a safetensors file."""
    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError) as error:
        raise BadRequest(f"{path}: {error}") from error


class Data:
    """data.safetensors: the order of the samples, and a sample's inputs and targets."""

    def __init__(self, folder, request):
        self.path = Path(folder) / "data.safetensors"
        metadata, self.tensors = read_tensors(self.path)
        self.model, training = request["workload"]["model"], request["workload"]["training"]
        self.form = metadata.get("form")
        if self.form not in ("samples", "stream"):
            raise BadRequest(f"{self.path}: form: {self.form!r} is not samples or stream")
        self.order = self._get("order", (training["steps"], training["global_batch"]))
        if self.form == "stream":
            length = self.model["sequence"]
            stream = self._get("stream", (None,)).astype(np.int64)
            count = (len(stream) - 1) // length
            self.inputs = stream[:count * length].reshape(count, length)
            self.targets = stream[1:count * length + 1].reshape(count, length)
        elif self.model["kind"] == "gpt":
            self.inputs = self._get("inputs", (None, self.model["sequence"]))
            self.targets = self._get("targets", self.inputs.shape)
        else:
            sizes = self.model["sizes"]
            self.inputs = self._get("inputs", (None, sizes[0]))
            squared = self.model["loss"] == "squared_error"
            self.targets = self._get("targets", (len(self.inputs), sizes[-1]) if squared else (len(self.inputs),))
        if self.order.max(initial=-1) >= len(self.inputs):
            raise BadRequest(f"{self.path}: order: sample {self.order.max()} of {len(self.inputs)}")
        if self.model["kind"] == "mlp" and self.model["loss"] == "squared_error":
            present = "valid" in self.tensors
            self.valid = self._get("valid", (len(self.inputs),)) if present else np.ones(len(self.inputs))
        else:
            self.valid = self.targets >= 0  # -1: does not count

    def _get(self, name, shape):
        if name not in self.tensors:
            raise BadRequest(f"{self.path}: {name}: missing")
        got = self.tensors[name].shape
        if len(got) != len(shape) or any(want not in (None, have) for want, have in zip(shape, got)):
            raise BadRequest(f"{self.path}: {name}: shape {list(got)}, not {list(shape)}")
        return self.tensors[name]

    def batch(self, step):
        """The global samples of a step, in order."""
        row = self.order[step - 1]
        return row[row >= 0]

    def valid_targets(self, samples):
        return int(self.valid[samples].sum())
