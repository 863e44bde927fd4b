"""Trains a small model under DistributedDataParallel on two processes (gloo, CPU) with torch.profiler on, and leaves
each rank's trace as rank0.json and rank1.json: what somebody else's run looks like.

    ddp_profile.py FOLDER --slow RANK --where backward|forward|data|nowhere [--ms N] [--steps N]
"""

import argparse
import pathlib
import time

import torch
from torch import distributed, nn
from torch.profiler import ProfilerActivity, profile, schedule

WORLD = 2
WARM_UP = 2  # steps before the recording
WIDTH, BATCH = 192, 16


class Slow(nn.Module):
    """Passes its input on, late: in its forward, or in its backward by a hook."""

    def __init__(self, seconds, where):
        super().__init__()
        self.forward_seconds = seconds if where == "forward" else 0
        if where == "backward":
            self.register_full_backward_hook(lambda *_: time.sleep(seconds))

    def forward(self, x):
        time.sleep(self.forward_seconds)
        return x * 1


class Samples(torch.utils.data.Dataset):
    def __init__(self, count, seconds):
        self.count, self.seconds = count, seconds

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index % BATCH == 0:
            time.sleep(self.seconds)
        generator = torch.Generator().manual_seed(index)
        return torch.randn(WIDTH, generator=generator), index % 10


def train(rank, arguments):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    distributed.init_process_group("gloo", init_method=f"file://{arguments.folder}/meeting", rank=rank, world_size=WORLD)
    where = arguments.where if rank == arguments.slow else "nowhere"
    seconds = arguments.ms / 1e3
    layers = [nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), Slow(seconds, where), nn.ReLU(),
              nn.Linear(WIDTH, 10)]
    model = nn.parallel.DistributedDataParallel(nn.Sequential(*layers), bucket_cap_mb=0.2)
    optimizer = torch.optim.AdamW(model.parameters())
    steps = WARM_UP + arguments.steps
    samples = Samples(steps * BATCH, seconds if where == "data" else 0)
    plan = schedule(wait=WARM_UP - 1, warmup=1, active=arguments.steps)
    with profile(activities=[ProfilerActivity.CPU], schedule=plan) as profiler:
        for inputs, targets in torch.utils.data.DataLoader(samples, batch_size=BATCH):
            loss = nn.functional.cross_entropy(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            profiler.step()
    profiler.export_chrome_trace(f"{arguments.folder}/rank{rank}.json")
    distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--slow", type=int, default=0)
    parser.add_argument("--where", choices=["forward", "backward", "data", "nowhere"], default="nowhere")
    parser.add_argument("--ms", type=float, default=40)
    parser.add_argument("--steps", type=int, default=6)
    arguments = parser.parse_args()
    arguments.folder = arguments.folder.resolve()
    torch.multiprocessing.spawn(train, (arguments,), nprocs=WORLD)


if __name__ == "__main__":
    main()
