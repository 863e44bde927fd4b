"""Every `lockstep` command that README.md shows does what it says there.

Usage: readme_test.py SOURCE BUILD

The fenced blocks' commands run in their order, in a folder of this test's own in which build/ leads to the build, so a
command that reads what an earlier one left finds it. None is left out: one that takes minutes runs on one case or for a
few steps (SHORTER), and one whose trainer is not set up on this machine must say what sets it up. Both are printed.
"""
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

source, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
FEWEST = 8  # commands; fewer, and the README is read wrongly
# What is added where a command begins so: the same command on less.
SHORTER = {"conform --profile": ["--case", "dp.even/dp=2"], "conform --trainer": ["--case", "dp.even/dp=2"],
           "train": ["--steps", "6"]}


def commands():
    """(arguments, exit code that the comment promises) of each line that runs lockstep."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", (source / "README.md").read_text(), re.M | re.S)
    found = []
    for line in "".join(blocks).splitlines():
        program = re.match(r"(\$lockstep|build/bin/lockstep) ", line)
        if not program:
            if re.search(r"\blockstep ", line.partition("#")[0]):
                sys.exit(f"README.md: a command in another form, which is not read: {line}")
            continue
        command, _, comment = line[program.end():].partition("#")
        promised = re.search(r"exit code (\d+)", comment)
        found.append((shlex.split(command), int(promised.group(1)) if promised else 0))
    return found


def torch_trace(rank):
    """Three steps of a data-parallel rank as torch.profiler writes them; rank 1 computes longer."""
    events = []

    def add(category, name, began, ended, thread=1, **arguments):
        events.append({"ph": "X", "cat": category, "name": name, "pid": 1, "tid": thread, "ts": 1000 + began,
                       "dur": ended - began, "args": arguments})

    for step in range(3):
        at, computed = 100 * step, 100 * step + 40 + 20 * rank
        add("user_annotation", f"ProfilerStep#{step}", at, at + 100)
        add("cpu_op", "aten::linear", at + 5, at + 9, **{"Sequence number": step})
        add("cpu_op", "autograd::engine::evaluate_function: AddmmBackward0", at + 10, computed - 2,
            **{"Sequence number": step})
        add("cpu_op", "c10d::allreduce_", computed - 1, computed)
        add("user_annotation", "gloo:all_reduce", computed - 0.5, at + 80, thread=2)
        add("user_annotation", "Optimizer.step#AdamW.step", at + 84, at + 99)
    return json.dumps({"schemaVersion": 1, "traceEvents": events, "host_name": "node",
                       "distributedInfo": {"rank": rank, "world_size": 2, "backend": "gloo"}})


def folder():
    scratch = build / "readme_test"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    (scratch / "build").symlink_to(build)
    (scratch / "book.txt").write_text("".join(f"Chapter {i}. It was a dark and stormy night.\n" for i in range(2000)))
    for rank in range(2):
        (scratch / f"rank{rank}.json").write_text(torch_trace(rank))
    return scratch


def setup_of(arguments):
    """What sets up the trainer that a command names; "" where it names none."""
    if "--trainer" not in arguments:
        return ""
    manifest = source / "reference" / "adapters" / arguments[arguments.index("--trainer") + 1] / "trainer.toml"
    if not manifest.exists():
        for each in (source / "reference" / "adapters").glob("*/trainer.toml"):
            if f'name = "{arguments[arguments.index("--trainer") + 1]}"' in each.read_text():
                manifest = each
    found = re.search(r'^setup = "(.*)"', manifest.read_text(), re.M)
    return found.group(1) if found else ""


def run(arguments, promised, scratch):
    more = next((extra for begin, extra in SHORTER.items() if " ".join(arguments).startswith(begin)), [])
    shown = "lockstep " + " ".join(arguments) + (f"  (shortened by {' '.join(more)})" if more else "")
    done = subprocess.run(["build/bin/lockstep", *arguments, *more], cwd=scratch, capture_output=True, text=True,
                          timeout=120)
    setup = setup_of(arguments)
    if done.returncode == 2 and setup and f"run {setup} first" in done.stderr:
        print(f"not set up here, and says so: {shown}")
        return True
    good = done.returncode == promised
    print(f"exit code {done.returncode}{'' if good else f', expected {promised}'}: {shown}")
    if not good:
        print(done.stdout[-3000:] + done.stderr[-3000:])
    return good


def main():
    found = commands()
    if len(found) < FEWEST:
        sys.exit(f"README.md shows {len(found)} commands of lockstep; expected at least {FEWEST}")
    scratch = folder()
    results = [run(arguments, promised, scratch) for arguments, promised in found]
    sys.exit(0 if all(results) else 1)


main()
