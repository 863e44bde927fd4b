"""A reader of Chrome trace events, written apart from Lockstep's writer, by the format's own rules: it takes nothing
on trust and repairs nothing. What it refuses, Perfetto would draw wrong or drop.

Times are whole nanoseconds. Sources: the Trace Event Format's document, and how Perfetto's importer reads it.
"""

import collections
import dataclasses
import json

PHASES = {"M", "X", "s", "f", "C"}


class Malformed(Exception):
    """One sentence: what is wrong, and where."""


@dataclasses.dataclass
class Slice:
    process: int
    thread: int
    began: int
    ended: int
    name: str
    category: str
    args: dict
    parent: "Slice | None" = None


@dataclasses.dataclass
class Flow:
    name: str
    category: str
    source: Slice
    target: Slice
    began: int
    ended: int


@dataclasses.dataclass
class Trace:
    about: dict
    processes: dict  # id -> name
    threads: dict  # id -> (process, name)
    slices: list
    flows: list
    counters: dict  # (process, name, series) -> [(nanoseconds, value)]

    def on(self, process, thread_name):
        """Slices of a process's rows of that name, "communication 2" among "communication"."""
        return [s for s in self.slices if s.process == process
                and self.threads[s.thread][1].rstrip("0123456789").strip() == thread_name]


def demand(holds, sentence):
    if not holds:
        raise Malformed(sentence)


def nanoseconds(event, key, where):
    """Readers multiply the number by 1000 and round, or cut off: it must be the same nanosecond to all."""
    value = event.get(key)
    demand(isinstance(value, (int, float)) and not isinstance(value, bool), f"{where}: {key} is {value!r}")
    demand(int(value * 1000.0) == round(value * 1000.0), f"{where}: {key} {value!r} is not the same to every reader")
    return int(value * 1000.0)


def is_id(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def read(path):
    with open(path, encoding="utf-8") as file:
        whole = json.load(file)
    demand(isinstance(whole, dict) and whole.get("displayTimeUnit") in ("ms", "ns"), "no displayTimeUnit")
    events = whole.get("traceEvents")
    demand(isinstance(events, list) and events, "no traceEvents")
    for number, event in enumerate(events):
        where = f"event {number}"
        demand(isinstance(event, dict) and event.get("ph") in PHASES, f"{where}: ph is not one of {PHASES}")
        demand(is_id(event.get("pid")) and is_id(event.get("tid")), f"{where}: pid or tid is no id")
        demand(isinstance(event.get("name"), str) and event["name"], f"{where}: no name")
    processes, threads = read_names(events)
    slices = read_slices(events, processes, threads)
    return Trace(whole.get("otherData", {}), processes, threads, slices, read_flows(events, slices),
                 read_counters(events, processes))


def read_names(events):
    processes, threads, order = {}, {}, collections.defaultdict(dict)
    for event in events:
        if event["ph"] != "M":
            continue
        name, args = event["name"], event.get("args", {})
        if name == "process_name":
            demand(event["pid"] not in processes, f"process {event['pid']} is named twice")
            processes[event["pid"]] = args["name"]
        elif name == "thread_name":
            # Readers look a thread up by its id alone: two processes must not share one, nor a thread a process's.
            demand(event["tid"] not in threads, f"thread {event['tid']} is named twice")
            threads[event["tid"]] = (event["pid"], args["name"])
        elif name.endswith("_sort_index"):
            demand(is_id(args.get("sort_index")), f"{name} of {event['pid']} is no number")
            order[name][event["pid"], event["tid"] if name.startswith("thread") else None] = args["sort_index"]
        else:
            demand(name == "process_labels", f"unknown metadata {name}")
    demand(not set(threads) & set(processes), "a thread has a process's id")
    demand(len(order["process_sort_index"]) == len(processes), "not every process has its place")
    demand(len(order["thread_sort_index"]) == len(threads), "not every thread has its place")
    return processes, threads


def read_slices(events, processes, threads):
    """Complete events, each with the slice that it lies in. Per thread in the order of the file: begins must not go
    back, and what begins within another must end within it."""
    slices, open_on, last = [], collections.defaultdict(list), {}
    for number, event in enumerate(events):
        if event["ph"] != "X":
            continue
        where = f"event {number} ({event['name']})"
        thread = event["tid"]
        demand(threads.get(thread, (None,))[0] == event["pid"], f"{where}: its thread is another process's or has no name")
        demand(event["pid"] in processes, f"{where}: its process has no name")
        began, length = nanoseconds(event, "ts", where), nanoseconds(event, "dur", where)
        demand(began >= 0 and length >= 0, f"{where}: a time is negative")
        demand(began >= last.get(thread, 0), f"{where}: begins before the slice that stands before it")
        last[thread] = began
        stack = open_on[thread]
        while stack and stack[-1].ended <= began:
            stack.pop()
        demand(not stack or began + length <= stack[-1].ended,
               f"{where}: ends after {stack[-1].name if stack else ''}, in which it begins")
        slices.append(Slice(event["pid"], thread, began, began + length, event["name"], event.get("cat", ""),
                            event.get("args", {}), stack[-1] if stack else None))
        stack.append(slices[-1])
    return slices


def read_flows(events, slices):
    """Each flow has one start and one end, both inside slices, the end not before the start."""
    by_thread = collections.defaultdict(list)
    for each in slices:
        by_thread[each.thread].append(each)

    def enclosing(event, moment, where):
        around = [s for s in by_thread[event["tid"]] if s.began <= moment < s.ended]
        demand(around, f"{where}: lies in no slice")
        return max(around, key=lambda s: (s.began, -s.ended))  # the innermost

    ends = collections.defaultdict(dict)
    for number, event in enumerate(events):
        if event["ph"] not in "sf":
            continue
        where = f"event {number} (flow {event.get('id')})"
        demand(is_id(event.get("id")), f"{where}: its id is no number")
        key = (event["id"], event.get("cat"), event["name"])
        demand(event["ph"] not in ends[key], f"{where}: has two of '{event['ph']}'")
        demand(event["ph"] == "s" or event.get("bp") == "e", f"{where}: is not bound to the slice around its end")
        moment = nanoseconds(event, "ts", where)
        ends[key][event["ph"]] = (moment, enclosing(event, moment, where))
    demand(len({key[0] for key in ends}) == len(ends), "two flows share an id")
    flows = []
    for (number, category, name), both in ends.items():
        demand(len(both) == 2, f"flow {number} has {', '.join(both)} alone")
        (began, source), (ended, target) = both["s"], both["f"]
        demand(began <= ended, f"flow {number} leads back in time")
        flows.append(Flow(name, category, source, target, began, ended))
    return flows


def read_counters(events, processes):
    counters = collections.defaultdict(list)
    for number, event in enumerate(events):
        if event["ph"] != "C":
            continue
        where = f"event {number} (counter {event['name']})"
        demand(event["pid"] in processes, f"{where}: its process has no name")
        moment = nanoseconds(event, "ts", where)
        demand(event.get("args"), f"{where}: counts nothing")
        for series, value in event["args"].items():
            demand(isinstance(value, (int, float)), f"{where}: {series} is {value!r}")
            track = counters[event["pid"], event["name"], series]
            demand(not track or track[-1][0] <= moment, f"{where}: goes back in time")
            track.append((moment, value))
    return dict(counters)
