#!/usr/bin/env python3
"""Real traces of PyTorch's profiler through `lockstep stalls`: two processes under DistributedDataParallel, one of them
made slow in a way that is known, and what the report says of it.

    check_import.py LOCKSTEP     LOCKSTEP is the program; the Python is the one that ci/adapters makes
"""

import gzip
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

import chrome_trace

SLOW, MILLISECONDS, STEPS = 1, 60, 6
OPERATION = {"backward": ("B", "compute"), "forward": ("F", "compute"), "data": ("data", "data")}
PROGRAM = None
SCRATCH = None
TRACES = {}  # where the slow rank was slow -> files


def lockstep(*words, expect=0):
    run = subprocess.run([PROGRAM, "stalls", *map(str, words)], capture_output=True, text=True, check=False)
    assert run.returncode == expect, f"lockstep stalls {words}: exit {run.returncode}\n{run.stdout}{run.stderr}"
    return run.stdout if expect == 0 else run.stderr


def record(where):
    if where not in TRACES:
        folder = SCRATCH / where
        folder.mkdir()
        subprocess.run([sys.executable, pathlib.Path(__file__).with_name("ddp_profile.py"), folder, "--slow", str(SLOW), "--where",
                        where, "--ms", str(MILLISECONDS), "--steps", str(STEPS)], capture_output=True, text=True, check=True)
        TRACES[where] = [folder / "rank0.json", folder / "rank1.json"]
    return TRACES[where]


def check_named(where):
    """The slow rank is named, its operation, and what it cost: on the table's first line and in the figures."""
    operation, category = OPERATION[where]
    report = json.loads(lockstep(*record(where), "--json"))
    assert len(report["steps"]) == 2 * STEPS and report["last_step"] - report["first_step"] + 1 == STEPS, report["steps"]
    worst = max(report["causes"], key=lambda cause: cause["others_waited_seconds"])
    assert (worst["rank"], worst["operation"], worst["category"]) == (SLOW, operation, "straggler"), worst
    for row in report["steps"]:
        assert abs(sum(row["seconds"].values()) - row["wall_seconds"]) <= 0.001 * row["wall_seconds"], row
        if row["rank"] == SLOW:  # time that it took itself
            assert row["seconds"][category] >= MILLISECONDS / 1e3, row
    kept = [row["seconds"]["straggler"] for row in report["steps"] if row["rank"] != SLOW]
    assert statistics.median(kept) >= 0.8 * MILLISECONDS / 1e3, kept
    lines = lockstep(*record(where)).splitlines()
    to_blame = lines[1 + next(i for i, line in enumerate(lines) if line.startswith("what was to blame"))]
    assert re.match(rf" +rank {SLOW}: {operation}\b", to_blame), to_blame
    return to_blame.strip()


def check_a_rank_that_is_slow_in_backward_is_named():
    return check_named("backward")


def check_a_rank_that_is_slow_in_forward_is_named():
    return check_named("forward")


def check_a_rank_whose_data_comes_late_is_named():
    return check_named("data")


def check_operations_and_collectives_are_all_there():
    """Counted in the files by their names, and in the trace that is written of the report."""
    for where, files in TRACES.items():
        out = SCRATCH / "again.json"
        lockstep(*files, "--trace", out)
        trace = chrome_trace.read(out)
        for rank, file in enumerate(files):
            events = json.loads(file.read_text())["traceEvents"]
            steps = [e for e in events if e["name"].startswith("ProfilerStep#")]
            calls = [e for e in events if e["name"] == "c10d::allreduce_" and any(
                s["ts"] <= e["ts"] < s["ts"] + s["dur"] for s in steps)]
            read = [s for s in trace.on(rank, "communication") if s.category == "collective"]
            assert len(read) == len(calls) >= STEPS, (where, rank, len(read), len(calls))
            ops = [s.name for s in trace.on(rank, "compute") if s.category == "op"]
            assert ops == ["0F0", "0B0"] * STEPS, ops
            waits = [s for s in trace.on(rank, "host") if s.category == "wait"]
            assert rank == SLOW or len(waits) >= STEPS, (where, rank, waits)
            updates = [s for s in trace.on(rank, "compute") if s.name == "optimizer"]
            assert len(updates) >= STEPS, updates
    return f"{len(TRACES)} runs"


def check_ranks_may_be_given_in_any_order():
    files = record("backward")
    there, back = (json.loads(lockstep(*order, "--json")) for order in (files, files[::-1]))
    assert there["steps"] == back["steps"]
    return "the same figures"


def check_clocks_of_two_hosts_are_brought_together_and_the_uncertainty_is_said():
    """The same traces, the second from a host whose clock is a second and a half ahead."""
    first, second = record("backward")
    moved = json.loads(second.read_text())
    moved["host_name"] = "elsewhere"
    moved["baseTimeNanoseconds"] += 1_500_000_000
    file = SCRATCH / "elsewhere.json"
    file.write_text(json.dumps(moved))
    here, apart = (json.loads(lockstep(first, each, "--json")) for each in (second, file))
    said = [doubt for doubt in apart["doubts"] if "clocks were aligned" in doubt]
    assert said, apart["doubts"]
    uncertainty = apart["clocks"][1]["uncertainty_seconds"]
    assert 0 < uncertainty < 0.5 * MILLISECONDS / 1e3, uncertainty
    for one, other in zip(here["steps"], apart["steps"]):
        if one["rank"] != SLOW:
            difference = abs(one["seconds"]["straggler"] - other["seconds"]["straggler"])
            assert difference <= 2 * uncertainty + 1e-3, (one, other, uncertainty)
    return said[0]


def check_what_cant_be_read_is_one_line_and_exit_code_2():
    first, second = record("backward")
    text = first.read_text()

    def broken(name, content):
        file = SCRATCH / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    wrong = json.loads(text)
    next(e for e in wrong["traceEvents"] if e["ph"] == "X")["ts"] = "noon"
    cases = {
        "cut short": [broken("cut.json", text[: len(text) // 2]), second],
        "not JSON": [broken("no.json", "rank,step\n0,1\n"), second],
        "gunzip": [broken("packed.json", gzip.compress(text.encode())), second],
        'has no "traceEvents"': [broken("other.json", '{"events": []}'), second],
        "neither ProfilerStep#N nor Optimizer.step": [broken("empty.json", '{"traceEvents": []}')],
        "no trace of rank 1": [first],
        "is of rank 0, as": [first, first],
        ".ts: is no number": [broken("noon.json", json.dumps(wrong)), second],
        "no such file": [first, SCRATCH / "nowhere.json"],
        "was written by Lockstep itself": [SCRATCH / "again.json"],
        "is a folder; expected a file": [first, SCRATCH],
    }
    for words, files in cases.items():
        said = lockstep(*files, expect=2)
        assert words in said and said.count("\n") == 1 and said.startswith("lockstep: "), (words, said)
    return f"{len(cases)} inputs"


def main():
    global PROGRAM, SCRATCH
    if len(sys.argv) != 2:
        print("usage: check_import.py LOCKSTEP", file=sys.stderr)
        return 2
    PROGRAM = sys.argv[1]
    # In this order: what is recorded by one is used by the next.
    checks = [value for name, value in globals().items() if name.startswith("check_") and name != "check_named"]
    with tempfile.TemporaryDirectory() as folder:
        SCRATCH = pathlib.Path(folder)
        for check in checks:
            print(f"{check.__name__.removeprefix('check_').replace('_', ' ')}: {check()}", flush=True)
    print(f"{len(checks)} checks held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
