#!/usr/bin/env python3
"""Lockstep's schedules against the real torch.distributed.pipelining, both ways.

    check_schedules.py LOCKSTEP     LOCKSTEP is the program; the Python is the one that ci/adapters makes

Every schedule class of torch is written as its CSV, compute-only and lowered, and `lockstep schedule` must read, prove and
simulate it; every schedule of Lockstep goes into torch's loader and simulator, which must accept it; where both have the
same algorithm they agree action for action.
"""
import collections
import contextlib
import csv
import inspect
import io
import json
import pathlib
import subprocess
import sys
import tempfile
from unittest import mock

from torch.distributed.pipelining import _schedule_visualizer, schedules
from torch.distributed.pipelining.stage import PipelineStage

SHAPES = [(2, 4), (2, 8), (3, 6), (4, 4), (4, 8), (4, 12), (8, 16)]  # ranks, micro-batches
LOCKSTEP = None
SCRATCH = None


def lockstep(*words, expect=0):
    run = subprocess.run([LOCKSTEP, "schedule", *map(str, words)], capture_output=True, text=True, check=False)
    assert run.returncode == expect, f"lockstep schedule {words}: exit {run.returncode}\n{run.stdout}{run.stderr}"
    return run.stdout + run.stderr


def classes():
    """The names of torch's schedules, as its own get_schedule_class calls them: every class that is not a base."""
    bases = {"PipelineScheduleSingle", "PipelineScheduleMulti"}
    names = [name for name in schedules.__all__ if inspect.isclass(getattr(schedules, name)) and name not in bases]
    return [name.removeprefix("Schedule") for name in names]


def mock_stage(ranks, stages, rank=0):
    stage = mock.create_autospec(PipelineStage, instance=True)
    stage.group_rank, stage.group_size, stage.num_stages, stage.submod = rank, ranks, stages, None
    stage.stage_index = rank
    return stage


def recorded(name, ranks, micro_batches):
    """What a class of one stage a rank really runs: its own loop over a stage that writes down what it is told."""
    rows = []
    for rank in range(ranks):
        stage, row = mock_stage(ranks, ranks, rank), []
        for what in ("get_fwd_recv_ops", "get_fwd_send_ops", "get_bwd_recv_ops", "get_bwd_send_ops"):
            getattr(stage, what).return_value = []
        stage.is_last = stage.is_first = False
        stage.forward_one_chunk.side_effect = lambda i, *_, row=row, rank=rank, **__: row.append(f"{rank}F{i}")
        stage.backward_one_chunk.side_effect = lambda i, *_, row=row, rank=rank, **__: row.append(f"{rank}B{i}")
        schedule = schedules.get_schedule_class(name)(stage, micro_batches)
        chunks = ([()] * micro_batches, [{}] * micro_batches)
        with mock.patch.object(schedule, "_check_inputs", return_value=chunks), \
                mock.patch.object(schedule, "_initialize_stage"):
            schedule._step_microbatches(*chunks)
        rows.append(row)
    return rows


def is_single(name):
    return issubclass(schedules.get_schedule_class(name), schedules.PipelineScheduleSingle)


def exported(name, ranks, micro_batches, with_comms=False):
    """torch's own actions as rows of text, with its idle slots as empty cells."""
    if is_single(name):
        return recorded(name, ranks, micro_batches)
    actions = _schedule_visualizer.get_schedule_ops(name, ranks, micro_batches, with_comms=with_comms)
    return [["" if action is None else str(action) for action in row] for row in actions]


def shapes_of(name):
    for ranks, micro_batches in SHAPES:
        if name == "DualPipeV" and micro_batches < 2 * ranks:
            continue
        yield ranks, micro_batches


def write(name, rows):
    path = SCRATCH / f"{name}.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def read(text):
    return [[cell for cell in row if cell] for row in csv.reader(io.StringIO(text))]


def compute_only(rows):
    return [[cell for cell in row if cell and not any(word in cell for word in ("SEND", "RECV", "SHARD", "REDUCE"))]
            for row in rows]


def torch_loads(text, ranks, stages, micro_batches, form):
    """Through torch's loader, which validates, and its simulator where that knows all actions."""
    path = SCRATCH / "ours.csv"
    path.write_text(text, encoding="utf-8", newline="")
    runtime = schedules._PipelineScheduleRuntime([mock_stage(ranks, stages)] * (stages // ranks), micro_batches)
    runtime._load_csv(str(path), format=form)
    lowered = runtime.pipeline_order_with_comms
    # torch's simulator takes neither its own UNSHARD, RESHARD and REDUCE_GRAD nor fused pairs.
    for rank, row in lowered.items():
        lowered[rank] = [part for action in row for part in (action.sub_actions or [action])
                         if not any(word in str(part) for word in ("SHARD", "REDUCE"))]
    with contextlib.redirect_stdout(io.StringIO()):
        runtime._simulate()


def check_every_class_of_torch_is_read_proved_and_simulated():
    names = classes()
    assert {"GPipe", "1F1B", "Interleaved1F1B", "LoopedBFS", "InterleavedZeroBubble", "ZBVZeroBubble",
            "DualPipeV"} <= set(names), names
    count = 0
    for name in names:
        for ranks, micro_batches in shapes_of(name):
            for with_comms in (False,) if is_single(name) else (False, True):
                rows = exported(name, ranks, micro_batches, with_comms)
                path = write(f"{name}_{ranks}_{micro_batches}", rows)
                assert "holds" in lockstep("verify", path)
                simulation = json.loads(lockstep("simulate", path, "--json"))
                stages = ranks * (1 if is_single(name) else 2)
                assert (simulation["stages"], simulation["micro_batches"]) == (stages, micro_batches), path
                # Every stage does F, I and W, a tick each, of every micro-batch.
                assert all(rank["busy"] == 3 * stages // ranks * micro_batches for rank in simulation["ranks"]), path
                assert read(lockstep("convert", path, "--to", "torch")) == [[c for c in row if c] for row in rows], path
                ours = lockstep("convert", path, "--to", "lockstep", "--compute-only")
                again = SCRATCH / "again.schedule"
                again.write_text(ours, encoding="utf-8")
                assert read(lockstep("convert", again, "--to", "torch")) == compute_only(rows), path
                count += 1
    return f"{len(names)} classes, {count} schedules"


def generators():
    listed = subprocess.run([LOCKSTEP, "list", "schedules", "--json"], capture_output=True, text=True, check=True).stdout
    return {row["name"]: row["min_chunks"] for row in json.loads(listed)}


def check_torch_accepts_every_schedule_of_ours():
    count = 0
    for name, chunks in generators().items():
        for ranks, micro_batches in SHAPES:
            words = (name, "-p", ranks, "-v", chunks, "-m", micro_batches, "--to", "torch")
            if name == "dualpipe":
                if ranks % 2 == 0 and micro_batches >= 2 * ranks:
                    assert "each stage on one rank" in lockstep("convert", *words, expect=2)
                continue
            if name == "dualpipe_v" and micro_batches < 2 * ranks:
                continue
            torch_loads(lockstep("convert", *words), ranks, ranks * chunks, micro_batches, "compute_only")
            torch_loads(lockstep("convert", *words, "--with-transfers"), ranks, ranks * chunks, micro_batches,
                        "compute_comms")
            count += 2
    assert count >= 8 * 2 * 4, count
    return f"{count} schedules"


def check_the_same_algorithms_agree_action_for_action():
    same = {"GPipe": ("gpipe", 1), "1F1B": ("1f1b", 1), "Interleaved1F1B": ("interleaved_1f1b", 2),
            "ZBVZeroBubble": ("zb_v", 2), "DualPipeV": ("dualpipe_v", 2)}
    count = 0
    for theirs, (ours, chunks) in same.items():
        for ranks, micro_batches in shapes_of(theirs):
            text = lockstep("convert", ours, "-p", ranks, "-v", chunks, "-m", micro_batches, "--to", "torch")
            assert read(text) == compute_only(exported(theirs, ranks, micro_batches)), (theirs, ranks, micro_batches)
            count += 1
    return f"{len(same)} classes, {count} schedules"


def check_interleaved_1f1b_agrees_where_micro_batches_are_no_multiple_of_the_ranks():
    for ranks, micro_batches in ((4, 10), (4, 3), (3, 4), (4, 6)):
        text = lockstep("convert", "interleaved_1f1b", "-p", ranks, "-m", micro_batches, "--to", "torch")
        assert read(text) == compute_only(exported("Interleaved1F1B", ranks, micro_batches)), (ranks, micro_batches)
    return "4 shapes"


def check_zb_h1_is_torchs_interleaved_zero_bubble_of_one_stage_a_rank():
    for ranks, micro_batches in SHAPES:
        theirs = schedules.ScheduleInterleavedZeroBubble([mock_stage(ranks, ranks)], micro_batches).pipeline_order
        rows = [[str(action) for action in theirs[rank] if action is not None] for rank in range(ranks)]
        text = lockstep("convert", "zb_h1", "-p", ranks, "-m", micro_batches, "--to", "torch")
        assert read(text) == rows, (ranks, micro_batches)
    return f"{len(SHAPES)} shapes"


def check_looped_bfs_differs_from_torchs_in_the_order_of_backwards_alone():
    """torch takes a chunk's backwards from the last micro-batch, Lockstep from the first: the order in which a single
    run accumulates. Idle time and memory are the same."""
    for ranks, micro_batches in SHAPES:
        turned = []
        for row in compute_only(exported("LoopedBFS", ranks, micro_batches)):
            backwards = collections.defaultdict(list)
            for cell in row:
                if "B" in cell:
                    backwards[cell.split("B")[0]].append(cell)
            turned.append([backwards[cell.split("B")[0]].pop() if "B" in cell else cell for cell in row])
        shape = ("-p", ranks, "-m", micro_batches)
        assert read(lockstep("convert", "looped_bfs", *shape, "--to", "torch")) == turned, shape
        theirs = json.loads(lockstep("simulate", write("bfs", exported("LoopedBFS", ranks, micro_batches)), "--json"))
        ours = json.loads(lockstep("simulate", "looped_bfs", *shape, "--json"))
        for figure in ("busy", "makespan_idle", "span_idle", "peak_activations"):
            assert [rank[figure] for rank in theirs["ranks"]] == [rank[figure] for rank in ours["ranks"]], shape
    return f"{len(SHAPES)} shapes"


def check_a_wrong_export_of_torch_is_refused_with_the_operation_named():
    """1F1B's _get_pipeline_order, which is for drawings, names the last rank's micro-batches from 1: 3F8 for 3F0. What
    Schedule1F1B runs is right (see recorded)."""
    rows = [[str(a) for a in row if a is not None] for row in _schedule_visualizer.get_schedule_ops("1F1B", 4, 8)]
    text = lockstep("verify", write("drawn", rows), expect=0 if "3F0" in rows[3] else 1)
    if "3F0" in rows[3]:
        return "this version of torch has it right"
    assert "rank 3" in text and "3F8" in text, text
    return text.split("refused: ")[1].strip()


def check_what_torchs_checkers_accept_and_lockstep_refuses():
    """A backward done twice, receives that a channel delivers in another order, and both ranks sending first: torch's
    loader and simulator let them through."""
    down = "0F0,0SEND_F0,0F1,0SEND_F1,0RECV_B0,0B0,0RECV_B1,0B1"
    wrong = {
        "0B0": ("0F0,0SEND_F0,0RECV_B0,0B0,0B0\r\n1RECV_F0,1F0,1B0,1SEND_B0\r\n", 1),
        "1RECV_F1": (f"{down}\r\n1RECV_F1,1RECV_F0,1F0,1F1,1B0,1SEND_B0,1B1,1SEND_B1\r\n", 2),
        "0SEND_F1": (f"{down}\r\n1RECV_F0,1F0,1B0,1SEND_B0,1RECV_F1,1F1,1B1,1SEND_B1\r\n", 2),
    }
    for action, (text, micro_batches) in wrong.items():
        torch_loads(text, 2, 2, micro_batches, "compute_comms")
        path = SCRATCH / "wrong.csv"
        path.write_text(text, encoding="utf-8", newline="")
        assert f", {action}: " in lockstep("verify", path, expect=1), action
    return f"{len(wrong)} inputs"


def main():
    global LOCKSTEP, SCRATCH
    if len(sys.argv) != 2:
        print("usage: check_schedules.py LOCKSTEP", file=sys.stderr)
        return 2
    LOCKSTEP = sys.argv[1]
    checks = [value for name, value in sorted(globals().items()) if name.startswith("check_")]
    with tempfile.TemporaryDirectory() as folder:
        SCRATCH = pathlib.Path(folder)
        for check in checks:
            print(f"{check.__name__.removeprefix('check_').replace('_', ' ')}: {check()}", flush=True)
    print(f"{len(checks)} checks held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
