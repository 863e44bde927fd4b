"""A launcher and its ranks that fail on command: the name of a request's folder says how ("kill_1": rank 1 is killed).

Usage: fake_trainer.py WORLD_SIZE REQUEST...
Every rank waits for the others at the end of a request, as an all-reduce would; the launcher waits for every rank,
whatever becomes of the others, as a bad launcher does.
"""
import json
import os
import signal
import socket
import subprocess
import sys
import time

# What rank 0 says as it gives up, before anybody else can see the death of the rank in the name.
LAST_WORDS = {"lost": "all-reduce of 4 elements: remote process exited: rank 1 of 2 has died", "taken": "out of memory"}
LAST_WORDS["evicted"] = LAST_WORDS["lost"]


def write(path, value):
    with open(path + ".new", "w") as file:
        json.dump(value, file)
    os.rename(path + ".new", path)


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.005)


def misbehave(kind, folder):
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    if kind == "exit":
        os._exit(0)
    if kind == "fail":
        print("request.json: workload.model.width is missing", file=sys.stderr, flush=True)
        os._exit(2)
    if kind == "giveup":
        write(folder + "/done.json", {"steps": 1, "error": "out of memory in step 2"})
        os._exit(1)
    if kind in LAST_WORDS:
        wait_for(os.path.join(os.path.dirname(folder), "rank_00000", "done.json"))
        os.kill(os.getpid(), signal.SIGTERM if kind == "evicted" else signal.SIGKILL)
    while True:
        time.sleep(1000)


def leave_an_orphan():
    """A process in a session of its own, whose parent is gone and which ignores TERM."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
    middle = os.fork()
    if middle == 0:
        os.setsid()
        subprocess.Popen([sys.executable, "-c", code])
        os._exit(0)
    os.waitpid(middle, 0)


def run(request, rank, world_size):
    name = os.path.basename(request)
    kind, _, victim = name.partition("_")
    bad = victim.isdigit() and int(victim) == rank
    folder = f"{request}/evidence/rank_{rank:05d}"
    os.makedirs(folder, exist_ok=True)
    if bad and kind == "silent":
        misbehave("hang", folder)
    if kind == "unborn":
        print("error: no device", file=sys.stderr, flush=True)
        os._exit(3)
    write(folder + "/hello.json", {"rank": rank, "pid": os.getpid(), "host": socket.gethostname()})
    for other in range(world_size):
        if not (bad or kind in ("silent",)):
            wait_for(f"{request}/evidence/rank_{other:05d}/hello.json")
    with open(folder + "/events.jsonl", "w") as events:
        events.write(json.dumps({"event": "micro_batch", "step": 1, "micro_batch": 0}) + "\n")
        events.write(json.dumps({"event": "step", "step": 1}) + "\n")
        events.flush()
        if bad:
            misbehave(kind, folder)
        if kind == "quit":  # everybody gives up, and nobody ends before all have said so
            reason = "remote process exited: the other has aborted the communicator" if rank == 0 else "mismatch"
            write(folder + "/done.json", {"steps": 1, "error": reason})
            for other in range(world_size):
                wait_for(f"{request}/evidence/rank_{other:05d}/done.json")
            time.sleep(0.2)  # long enough to be taken for served
            os._exit(1)
        if rank == 0 and kind in LAST_WORDS:
            write(folder + "/done.json", {"steps": 1, "error": LAST_WORDS[kind]})
            misbehave("hang", folder)
        if rank == 0 and kind == "orphan":
            leave_an_orphan()
    write(folder + "/done.json", {"steps": 1})
    for other in range(world_size):
        wait_for(f"{request}/evidence/rank_{other:05d}/done.json")


def main():
    world_size, requests = int(sys.argv[1]), sys.argv[2:]
    with open(requests[0] + "/starts", "a") as file:
        file.write(" ".join(map(os.path.basename, requests)) + "\n")
    children = []
    for rank in range(world_size):
        pid = os.fork()
        if pid == 0:
            for request in requests:
                run(request, rank, world_size)
            os._exit(0)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    sys.exit(next((abs(code) for code in codes if code != 0), 0))


main()
