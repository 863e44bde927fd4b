#!/usr/bin/env python3
"""The trace that `lockstep stalls --trace` writes of a dp=2,pp=4 run, read by chrome_trace.py: well-formed, and the same
figures as the report's.

    check_export.py LOCKSTEP     LOCKSTEP is the program
"""

import collections
import copy
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import chrome_trace

DATA, PIPELINE, MICRO_BATCHES, STEPS = 2, 4, 8, 4
RANKS = DATA * PIPELINE
WITHIN = 0.001  # of the report's figures
ROWS = {"time", "compute", "host", "communication"}
IDLE = {"bubble", "imbalance", "straggler", "transfer"}
TRACE = None
RAW = None
REPORT = None
SCRATCH = None
EVIDENCE = None


def run(*words, expect=0):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == expect, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout, done.stderr


def make(lockstep, scratch):
    global TRACE, RAW, REPORT, SCRATCH, EVIDENCE
    plan = f"dp={DATA},pp={PIPELINE},micro_batches={MICRO_BATCHES}"
    run(lockstep, "train", "--plan", plan, "--steps", STEPS, "--out", scratch / "run")
    file = scratch / "trace.json"
    report, said = run(lockstep, "stalls", scratch / "run", "--trace", file, "--json")
    assert "ui.perfetto.dev" in said and "left out" not in said, said
    TRACE, RAW, REPORT, SCRATCH = chrome_trace.read(file), json.loads(file.read_text()), json.loads(report), scratch
    EVIDENCE = [read_timeline(scratch / "run" / "request" / "evidence" / f"rank_{rank:05}") for rank in range(RANKS)]


def read_timeline(folder):
    events = collections.defaultdict(list)
    for line in (folder / "timeline.jsonl").read_text().splitlines():
        event = json.loads(line)
        events[event["event"]].append(event)
    return events


def close(measured, wanted, what):
    assert abs(measured - wanted) <= WITHIN * max(abs(wanted), 1e-6), f"{what}: {measured} in the trace, {wanted} said"


def check_every_rank_is_a_process_with_the_rows_of_its_streams():
    assert [TRACE.processes[rank].split()[:2] for rank in sorted(TRACE.processes)] == [
        ["rank", str(rank)] for rank in range(RANKS)]
    for rank in range(RANKS):
        names = {name.rstrip("0123456789").strip() for process, name in TRACE.threads.values() if process == rank}
        assert names == ROWS, names
    return f"{RANKS} ranks, {len(TRACE.threads)} rows, {len(TRACE.slices)} slices that nest"


def check_categories_add_up_to_the_reports_figures_on_every_rank_and_step():
    sums = collections.Counter()
    for rank in range(RANKS):
        for each in TRACE.on(rank, "time"):
            if each.category != "step":
                sums[rank, each.args["step"], each.category] += each.ended - each.began
    compared = 0
    for row in REPORT["steps"]:
        for category, seconds in row["seconds"].items():
            key = (row["rank"], row["step"], category)
            close(sums.pop(key, 0) / 1e9, seconds, key)
            compared += 1
    assert not sums, f"not in the report: {list(sums)[:3]}"
    assert compared == RANKS * STEPS * len(REPORT["steps"][0]["seconds"]), compared
    return f"{compared} figures"


def check_slices_of_a_step_cover_it_without_a_gap():
    steps = 0
    for rank in range(RANKS):
        row = TRACE.on(rank, "time")
        for step in (s for s in row if s.category == "step"):
            inside = [s for s in row if s.parent is step]
            edges = [step.began, *[s.ended for s in inside]]
            assert [s.began for s in inside] == edges[:-1] and edges[-1] == step.ended, f"rank {rank}, {step.name}"
            wall = next(r["wall_seconds"] for r in REPORT["steps"] if (r["rank"], r["step"]) == (rank, step.args["step"]))
            close((step.ended - step.began) / 1e9, wall, step.name)
            steps += 1
    assert steps == RANKS * STEPS, steps
    return f"{steps} steps"


def check_idle_time_bears_the_name_of_its_cause():
    named = collections.Counter()
    for rank in range(RANKS):
        for each in TRACE.on(rank, "time"):
            if each.category not in IDLE:
                continue
            cause = r"rank \d+: .+|link from rank \d+ to rank \d+|.+ of .+, group of rank \d+"
            assert re.match(rf"{each.category}(: ({cause}))?$", each.name), each.name
            assert each.args["in"], each.name
            named[each.category] += 1
            if each.category == "straggler":
                assert ": rank " in each.name, f"{each.name}: a straggler has somebody to blame"
    assert named["bubble"] and named["transfer"], named
    return ", ".join(f"{count} {category}" for category, count in sorted(named.items()))


def check_operations_are_those_of_the_timelines():
    for rank in range(RANKS):
        ops = [s for s in TRACE.on(rank, "compute") if s.category == "op"]
        assert len(ops) == STEPS * MICRO_BATCHES * 2, len(ops)
        said = sorted(EVIDENCE[rank]["op"], key=lambda op: op["started"])
        assert [s.name for s in ops] == [op["action"] for op in said]
        close(sum(s.ended - s.began for s in ops) / 1e9, sum(op["ended"] - op["started"] for op in said), rank)
    return f"{RANKS * STEPS * MICRO_BATCHES * 2} operations"


def check_arrows_lead_from_each_send_to_its_receive():
    flows = [flow for flow in TRACE.flows if flow.category == "message"]
    assert len(flows) == STEPS * DATA * (PIPELINE - 1) * MICRO_BATCHES * 2, len(flows)
    pairs = {(s.process, s.began, s.name) for s in TRACE.slices if s.category == "message"}
    for flow in flows:
        stage, direction, micro_batch = re.fullmatch(r"(\d+)SEND_([FB])(\d+)", flow.source.name).groups()
        peer = int(stage) + (1 if direction == "F" else -1)
        assert flow.target.name == f"{peer}RECV_{direction}{micro_batch}", (flow.source.name, flow.target.name)
        assert flow.source.args["peer"] == flow.target.process and flow.target.args["peer"] == flow.source.process
        assert flow.source.args["step"] == flow.target.args["step"]
        for end in (flow.source, flow.target):
            pairs.discard((end.process, end.began, end.name))
    assert not pairs, f"without an arrow: {sorted(pairs)[:3]}"
    return f"{len(flows)} arrows"


def check_collectives_are_tied_to_whoever_came_last():
    """The members of a group's n-th collective: one that came last, and an arrow from it to each of the others."""
    members = collections.defaultdict(list)
    for rank in range(RANKS):
        groups = EVIDENCE[rank]["clock"][0]["groups"]
        for each in TRACE.on(rank, "communication"):
            if each.category == "collective":
                members[each.args["group"], tuple(groups[each.args["group"]]), each.args["number"]].append(each)
    flows = collections.defaultdict(list)
    for flow in TRACE.flows:
        if flow.category == "collective":
            flows[id(flow.source)].append(flow)
    tied = 0
    for (group, ranks, number), slices in members.items():
        assert sorted(s.process for s in slices) == sorted(ranks), (group, number)
        source = max((s for s in slices if id(s) in flows), key=lambda s: len(flows[id(s)]))
        assert source.began == max(s.began for s in slices), (group, number)
        assert {id(f.target) for f in flows[id(source)]} == {id(s) for s in slices} - {id(source)}, (group, number)
        tied += len(slices) - 1
    assert tied == sum(map(len, flows.values())) and tied > 0, tied
    return f"{len(members)} collectives, {tied} arrows"


def check_counters_are_the_memory_of_the_timelines():
    for rank in range(RANKS):
        ops = sorted(EVIDENCE[rank]["op"], key=lambda op: op["ended"])
        for name in ("memory", "activations"):
            values = [value for _, value in TRACE.counters[rank, name, "bytes"]]
            assert values == [op[name] for op in ops], (rank, name)
    assert len(TRACE.counters) == 2 * RANKS
    return f"{len(TRACE.counters)} counters of {STEPS * MICRO_BATCHES * 2} values"


def check_waits_are_those_of_the_timelines():
    waits = 0
    for rank in range(RANKS):
        slices = [s for s in TRACE.on(rank, "host") if s.category == "wait"]
        said = [e for kind in ("message", "collective") for e in EVIDENCE[rank][kind] if "wait_began" in e]
        assert len(slices) == len(said)
        close(sum(s.ended - s.began for s in slices) / 1e9, sum(e["wait_ended"] - e["wait_began"] for e in said), rank)
        waits += len(said)
    return f"{waits} waits"


def check_the_reader_refuses_traces_that_perfetto_would_draw_wrong():
    """What proves that the checks above can fail: each of these changes one thing in the trace."""
    def slice_of(events, wanted):
        return next(e for e in events if e["ph"] == "X" and wanted(e))

    def overlap(events):
        slice_of(events, lambda e: e.get("cat") == "bubble")["dur"] += 1e6

    def unbound(events):
        next(e for e in events if e["ph"] == "f")["ts"] += 1e7

    def backwards(events):
        flow = next(e for e in events if e["ph"] == "f")
        start = next(e for e in events if e["ph"] == "s" and e["id"] == flow["id"])
        flow["ph"], start["ph"], start["bp"] = "s", "f", "e"

    def alone(events):
        events.remove(next(e for e in events if e["ph"] == "s"))

    def not_bound(events):
        del next(e for e in events if e["ph"] == "f")["bp"]

    def same_id(events):
        starts = [e for e in events if e["ph"] == "s"]
        starts[1]["id"] = starts[0]["id"]

    def thread_of_two(events):
        names = [e for e in events if e["name"] == "thread_name"]
        names[-1]["tid"] = names[0]["tid"]

    def out_of_order(events):
        compute = [i for i, e in enumerate(events) if e["ph"] == "X" and e.get("cat") == "op"]
        a, b = compute[0], next(i for i in compute[1:] if events[i]["tid"] == events[compute[0]]["tid"])
        events[a], events[b] = events[b], events[a]

    def nameless(events):
        events.remove(next(e for e in events if e["name"] == "process_name"))

    def counter_back(events):
        counters = [e for e in events if e["ph"] == "C" and e["pid"] == 0 and e["name"] == "memory"]
        counters[-1]["ts"] = 0

    def cut_off(events):
        slice_of(events, lambda e: e["ts"] > 1)["ts"] = 0.29999999

    changes = [cut_off, overlap, unbound, backwards, alone, not_bound, same_id, thread_of_two, out_of_order, nameless, counter_back]
    file = SCRATCH / "changed.json"
    for change in changes:
        changed = copy.deepcopy(RAW)
        change(changed["traceEvents"])
        file.write_text(json.dumps(changed))
        try:
            chrome_trace.read(file)
        except chrome_trace.Malformed:
            continue
        raise AssertionError(f"{change.__name__} was not seen")
    return f"{len(changes)} defects"


def main():
    if len(sys.argv) != 2:
        print("usage: check_export.py LOCKSTEP", file=sys.stderr)
        return 2
    checks = [value for name, value in sorted(globals().items()) if name.startswith("check_")]
    with tempfile.TemporaryDirectory() as folder:
        make(sys.argv[1], pathlib.Path(folder))
        for check in checks:
            print(f"{check.__name__.removeprefix('check_').replace('_', ' ')}: {check()}", flush=True)
    print(f"{len(checks)} checks held")
    return 0


if __name__ == "__main__":
    sys.exit(main())
