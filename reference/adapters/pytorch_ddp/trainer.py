"""PyTorch as a Lockstep trainer: plain on one process, DistributedDataParallel over gloo on several.

Written from PROTOCOL.md, and as DDP is meant to be used: each rank takes the mean loss over the valid targets of its
own part of the batch, and DDP averages the ranks' gradients. With as many valid targets on every rank that is the mean
over the global batch; otherwise it is a mean of means, which is reported as it is (see trainer.toml's waivers).

  trainer.py --describe
  trainer.py --world-size N REQUEST...     starts N ranks on this machine
  trainer.py REQUEST...                    is one rank; RANK and WORLD_SIZE come from its launcher (torchrun, ...)
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import json
import logging
import math
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.numpy import save_file
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from model import Gpt, Mlp
from request import BadRequest, Data, read_request, read_tensors

NAME, VERSION = "pytorch-ddp", importlib.metadata.version("torch")
DESCRIBE = {
    "name": NAME, "version": VERSION, "protocol": 1, "models": ["mlp", "gpt"],
    "losses": ["squared_error", "cross_entropy"], "optimizers": ["sgd", "momentum", "adamw"],
    "precisions": ["fp64", "fp32"], "schedules": ["1f1b"], "data_forms": ["samples", "stream"],
    "max_data": 64, "max_tensor": 1, "max_pipeline": 1, "max_chunks": 1, "max_micro_batches": 1024,
    "zero_stages": [0], "sequence_parallel": False, "dropout": True, "tied": True, "clipping": True,
    "checkpoint_whole": True, "checkpoint_sharded": False, "uneven_micro_batches": True,
    "uneven_tensor_split": False, "recompute": False,
}
DTYPES = {"fp64": torch.float64, "fp32": torch.float32}
# Canonical name of an optimizer's state -> torch.optim's.
STATES = {"sgd": {}, "momentum": {"momentum": "momentum_buffer"},
          "adamw": {"exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq"}}


def split(items, parts, index):
    """Split(n, parts, i) of the protocol: contiguous runs, the first n mod parts of them one longer."""
    base, longer = divmod(len(items), parts)
    begin = index * base + min(index, longer)
    return items[begin:begin + base + (index < longer)]


def jsonable(value):
    """Numbers that JSON does not know become the protocol's strings."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Inf" if value > 0 else "-Inf"
    return value


def write_whole(path, write):
    temporary = path.with_name(f".{path.name}.tmp")
    write(temporary)
    os.replace(temporary, path)


def write_json(path, value):
    write_whole(path, lambda file: file.write_text(json.dumps(jsonable(value)) + "\n"))


def processor_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())


class Reduction:
    """DDP's own all-reduce of a bucket, with a note of when the last one started: from then on backward only waits.

    Without overlap the buckets are held until the last is ready, and reduced then.
    """

    def __init__(self, overlap):
        self.overlap, self.held, self.started = overlap, [], None

    def reduce(self, _, bucket):
        if bucket.is_last():
            self.started = time.perf_counter()
        if self.overlap:
            return allreduce_hook(None, bucket)
        future = torch.futures.Future()
        self.held.append((bucket.buffer(), future))
        if bucket.is_last():
            for buffer, waiting in self.held:
                dist.all_reduce(buffer.div_(dist.get_world_size()))
                waiting.set_result(buffer)
            self.held.clear()
        return future


class Trainer:
    def __init__(self, folder, rank, world_size):
        self.folder, self.rank, self.world_size = Path(folder), rank, world_size
        self.request = read_request(folder, world_size)
        self.workload, self.plan = self.request["workload"], self.request["plan"]
        self.dtype = DTYPES[self.workload["training"]["precision"]]
        self.data = Data(folder, self.request)
        kinds = {"gpt": Gpt, "mlp": Mlp}
        model = self.workload["model"]
        self.model = kinds[model["kind"]](model, self.workload["training"]["seed"]).to(self.dtype)
        self.parameters = dict(self.model.named_parameters())
        path = self.folder / "parameters.safetensors"
        self.shapes = self.load_parameters(path, "", read_tensors(path)[1])
        self.optimizer = self.make_optimizer()
        self.first_step = 1
        if self.request["checkpoint"]["resume_from"]:
            self.resume(self.folder / self.request["checkpoint"]["resume_from"] / "checkpoint.safetensors")
        self.forward, self.reduction = self.model, None
        if world_size > 1:
            self.forward = DistributedDataParallel(self.model, bucket_cap_mb=self.plan["bucket_bytes"] / 2**20)
            self.reduction = Reduction(self.plan["overlap"])
            self.forward.register_comm_hook(None, self.reduction.reduce)
        self.evidence = self.folder / "evidence" / f"rank_{rank:05d}"
        shutil.rmtree(self.evidence, ignore_errors=True)  # what an earlier run of this request left
        self.evidence.mkdir(parents=True)

    def load_parameters(self, path, prefix, tensors):
        """Sets every parameter from the tensor PREFIX + name, rounding once; returns the (canonical) shapes."""
        shapes = {name[len(prefix):]: t.shape for name, t in tensors.items() if name.startswith(prefix)}
        if set(shapes) != set(self.parameters):
            odd = sorted(set(shapes) ^ set(self.parameters))[0]
            raise BadRequest(f"{path}: {prefix}{odd}: {'unknown' if odd in shapes else 'missing'}")
        for name, p in self.parameters.items():
            if math.prod(shapes[name]) != p.numel():
                raise BadRequest(f"{path}: {prefix}{name}: shape {list(shapes[name])} does not fit the model")
            with torch.no_grad():
                p.copy_(torch.from_numpy(tensors[prefix + name]).reshape(p.shape))
        return shapes

    def make_optimizer(self):
        o = self.workload["optimizer"]
        normed = ("ln_1.weight", "ln_2.weight", "ln_f.weight")
        decayed = [p for n, p in self.parameters.items() if n.endswith(".weight") and not n.endswith(normed)]
        rest = [p for p in self.parameters.values() if not any(p is q for q in decayed)]
        groups = [{"params": decayed, "weight_decay": o["weight_decay"]}, {"params": rest, "weight_decay": 0.0}]
        if o["kind"] == "adamw":
            return torch.optim.AdamW(groups, o["learning_rate"], betas=(o["beta1"], o["beta2"]), eps=o["epsilon"])
        return torch.optim.SGD(groups, o["learning_rate"], momentum=o["momentum"] if o["kind"] == "momentum" else 0.0)

    def learning_rate(self, step):
        o = self.workload["optimizer"]
        rate, least, warm, cosine = (o[k] for k in
                                     ("learning_rate", "minimum_learning_rate", "warmup_steps", "cosine_steps"))
        if step <= warm:
            return rate * step / warm
        if cosine <= 0:
            return rate
        t = min(1.0, (step - warm) / (cosine - warm))
        return least + (rate - least) / 2 * (1 + math.cos(math.pi * t))

    def states(self):
        """(parameter's name, canonical state, tensor); torch.optim makes its state in the first step: zeros before."""
        for name, p in self.parameters.items():
            for canonical, theirs in STATES[self.workload["optimizer"]["kind"]].items():
                yield name, canonical, self.optimizer.state[p].get(theirs, torch.zeros_like(p))

    def resume(self, path):
        metadata, tensors = read_tensors(path)
        step = self.request["checkpoint"]["resume_step"]
        if metadata.get("step") != str(step):
            raise BadRequest(f"{path}: step: {metadata.get('step')!r}, not {step}")
        self.load_parameters(path, "param/", tensors)
        for name, canonical, state in self.states():
            if f"state/{name}/{canonical}" not in tensors:
                raise BadRequest(f"{path}: state/{name}/{canonical}: missing")
            loaded = torch.from_numpy(tensors[f"state/{name}/{canonical}"]).to(state.dtype).reshape(state.shape)
            kept = self.optimizer.state[self.parameters[name]]
            kept[STATES[self.workload["optimizer"]["kind"]][canonical]] = loaded
            kept["step"] = torch.tensor(float(step))
        self.first_step = step + 1

    # Training.

    def local_loss(self, samples, step, count):
        """The part of these samples in the mean over this rank's `count` valid targets, with its graph."""
        y = self.forward(self.rounded(self.data.inputs[samples]), samples, step)
        targets = self.rounded(self.data.targets[samples])
        if self.workload["model"].get("loss") == "squared_error":
            valid = torch.from_numpy(self.data.valid[samples]).to(self.dtype)
            return (0.5 * (y - targets).square().sum(1) * valid).sum() / max(count, 1)
        total = F.cross_entropy(y.flatten(0, -2), targets.flatten(), ignore_index=-1, reduction="sum")
        return total / max(count, 1)

    def rounded(self, array):
        tensor = torch.from_numpy(array)
        return tensor.to(self.dtype) if tensor.is_floating_point() else tensor.long()

    def backward(self, step):
        """Gradients of one step; returns (mean of the ranks' losses, valid targets of all ranks, idle seconds)."""
        mine = split(self.data.batch(step), self.world_size, self.rank)
        count, parts = self.data.valid_targets(mine), self.plan["micro_batches"]
        loss = 0.0
        self.optimizer.zero_grad()
        for m in range(parts):
            samples = split(mine, parts, m)
            last = m == parts - 1  # only then does DDP reduce what was accumulated
            with contextlib.nullcontext() if last or self.world_size == 1 else self.forward.no_sync():
                part = self.local_loss(samples, step, count)
                part.backward()
            loss += part.item()
            if self.request["evidence"]["ledger"]:
                self.event(event="micro_batch", step=step, micro_batch=m, samples=samples.tolist(),
                           valid_tokens=self.data.valid_targets(samples))
        if self.world_size == 1:
            return loss, count, 0.0
        sums = torch.tensor([loss, count], dtype=torch.float64)
        dist.all_reduce(sums)
        idle = time.perf_counter() - self.reduction.started
        return sums[0].item() / self.world_size, int(sums[1]), idle

    def train(self):
        """All steps; leaves the evidence."""
        training, wanted = self.workload["training"], self.request["evidence"]
        clip_norm = self.workload["optimizer"]["clip_norm"]
        self.hello()
        self.leave_tensors(self.first_step - 1, {})
        wall = idle = 0.0
        for step in range(self.first_step, training["steps"] + 1):
            begin = time.perf_counter()
            loss, count, waited = self.backward(step)
            tensors = self.gradients("grad") if wanted["gradients"] else {}
            norm = torch.nn.utils.clip_grad_norm_(self.parameters.values(), clip_norm if clip_norm > 0 else math.inf)
            tensors |= self.gradients("clipped") if wanted["clipped_gradients"] else {}
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate(step)
            self.optimizer.step()
            took = time.perf_counter() - begin
            wall, idle = wall + took, idle + waited
            self.event(event="step", step=step, loss=loss, gradient_norm=norm.item(),
                       learning_rate=self.optimizer.param_groups[0]["lr"], valid_tokens=count, wall_seconds=took,
                       busy_seconds=took - waited, idle_seconds=waited)
            if step % wanted["every"] == 0:
                self.leave_tensors(step, tensors)
            if step == self.request["checkpoint"]["save_after"]:
                self.save(step)
        self.done(training["steps"], wall, idle)

    # Evidence.

    def event(self, **fields):
        with open(self.evidence / "events.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(jsonable(fields)) + "\n")

    def canonical(self, name, tensor):
        return tensor.detach().reshape(self.shapes[name]).numpy().copy()

    def gradients(self, kind):
        return {f"{kind}/{name}": self.canonical(name, p.grad) for name, p in self.parameters.items()}

    def values(self, parameters=True, states=True):
        tensors = {f"param/{n}": self.canonical(n, p) for n, p in self.parameters.items()} if parameters else {}
        if states:
            tensors |= {f"state/{n}/{s}": self.canonical(n, t) for n, s, t in self.states()}
        return tensors

    def leave_tensors(self, step, tensors):
        wanted = self.request["evidence"]
        tensors = tensors | self.values(wanted["parameters"], wanted["optimizer_state"])
        slices = {n: json.dumps({"global_shape": list(t.shape), "offset": [0] * t.ndim}) for n, t in tensors.items()}
        write_whole(self.evidence / f"step_{step:06d}.safetensors", lambda file: save_file(tensors, file, slices))

    def save(self, step):
        folder = self.folder / self.request["checkpoint"]["save_to"]
        metadata = {"step": str(step), "world_size": str(self.world_size)}
        if self.rank == 0:
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / "checkpoint.safetensors", lambda file: save_file(self.values(), file, metadata))
        if self.world_size > 1:
            dist.barrier()

    def effective_plan(self):
        """What this run does. With one rank nothing is reduced: overlap and buckets mean nothing, and stay."""
        overlap, bucket = self.plan["overlap"], self.plan["bucket_bytes"]
        if self.world_size > 1:
            overlap, bucket = self.reduction.overlap, self.forward.bucket_bytes_cap
        return {"data": self.world_size, "tensor": 1, "pipeline": 1, "chunks": 1,
                "micro_batches": self.plan["micro_batches"], "schedule": "1f1b", "sequence_parallel": False,
                "partition": self.plan["partition"], "zero_stage": 0, "recompute": False, "overlap": overlap,
                "bucket_bytes": bucket}

    def hello(self):
        devices = [int(os.environ.get("LOCAL_RANK", self.rank))]
        if self.world_size > 1:
            gathered = [None] * self.world_size
            dist.all_gather_object(gathered, devices[0])
            devices = gathered
        precision = next(name for name, dtype in DTYPES.items() if dtype == next(self.model.parameters()).dtype)
        write_json(self.evidence / "hello.json", {
            "protocol": 1, "rank": self.rank, "world_size": self.world_size, "pid": os.getpid(),
            "host": platform.node(), "device": {"kind": "host", "name": processor_name()}, "trainer": NAME,
            "version": VERSION, "libraries": {"torch": VERSION, "numpy": np.__version__},
            "effective": {"plan": self.effective_plan(), "at": {"data": self.rank, "tensor": 0, "pipeline": 0},
                          "precision": precision, "optimizer": self.workload["optimizer"]["kind"],
                          "clip_norm": self.workload["optimizer"]["clip_norm"], "devices": devices}})

    def done(self, steps, wall, idle):
        parameters = sum(p.nbytes for p in self.parameters.values())
        states = sum(t.nbytes for _, _, t in self.states())
        categories = {"parameters": parameters, "gradients": parameters, "optimizer": states}
        if self.world_size > 1:
            categories["communication"] = parameters  # DDP's buckets are a second copy of the gradients
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # of the process, all its requests
        write_json(self.evidence / "done.json", {
            "steps": steps, "memory": {"categories": categories, "peak_bytes": peak, "capacity_bytes": 0},
            "wall_seconds": wall, "busy_seconds": wall - idle, "idle_seconds": idle})


def run_requests(rank, world_size, rendezvous, requests):
    """One rank: all requests, in order. Exits with 2 on one that can't be read."""
    torch.use_deterministic_algorithms(True)
    if world_size > 1:
        dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=world_size)
    for folder in requests:
        try:
            trainer = Trainer(folder, rank, world_size)
        except BadRequest as error:
            if rank == 0:
                print(error, file=sys.stderr, flush=True)
            if world_size > 1:
                dist.barrier()  # rank 0 has spoken before a launcher sees anybody leave
            sys.exit(2)
        try:
            trainer.train()
        except Exception as error:
            line = " ".join(f"{type(error).__name__}: {error}".split())
            write_json(trainer.evidence / "done.json", {"steps": 0, "error": line})
            raise
    if world_size > 1:
        dist.barrier()
        sys.stderr.flush()
        os._exit(0)  # everything is written; taking a gloo group down can hang once a peer has gone


def start_ranks(world_size, requests):
    """Forks the ranks after the slow imports. They meet over a file: no port that two launches could both want."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # this program says itself who failed
    with tempfile.TemporaryDirectory() as folder:
        arguments = (world_size, f"file://{folder}/rendezvous", requests)
        try:
            mp.start_processes(run_requests, arguments, nprocs=world_size, start_method="fork")
        except mp.ProcessExitedException as error:
            print(f"rank {error.error_index}: {error}", file=sys.stderr) if error.exit_code != 2 else None
            sys.exit(error.exit_code if error.exit_code > 0 else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--describe", action="store_true", help="print what this trainer can do")
    parser.add_argument("--world-size", type=int, help="start that many ranks here")
    parser.add_argument("requests", nargs="*", metavar="REQUEST", help="a request's folder")
    arguments = parser.parse_args()
    if arguments.describe:
        print(json.dumps(DESCRIBE))
        return
    if not arguments.requests:
        parser.error("no request")
    importlib.import_module("torch._dynamo")  # torch.optim's first step would: seconds, once a rank and on the clock
    if arguments.world_size is not None and arguments.world_size > 1:
        start_ranks(arguments.world_size, arguments.requests)
    else:
        rank, world_size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        run_requests(rank, 1 if arguments.world_size else world_size, "env://", arguments.requests)


if __name__ == "__main__":
    main()
