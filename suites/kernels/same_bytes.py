#!/usr/bin/env python3
"""Runs a program of this suite on virtual GPUs under every order of threads and every mode of streams; each test must
pass every time and leave the same digest of its outputs.

    same_bytes.py PROGRAM [GTEST_FILTER]
"""
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ORDERS = ("forward", "reverse", "random")
STREAMS = ("eager", "lazy", "random")


def run(program, name_filter, order, streams):
    """-> {test: digest}; the output and None when a test fails."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        environment = {**os.environ, "LOCKSTEP_VIRTUAL_ORDER": order, "LOCKSTEP_VIRTUAL_STREAMS": streams}
        done = subprocess.run([program, f"--gtest_filter={name_filter}", f"--gtest_output=json:{report}"],
                              env=environment, capture_output=True, text=True)
        if done.returncode != 0 or not report.exists():
            return done.stdout + done.stderr, None
        suites = json.loads(report.read_text())["testsuites"]
    return "", {f"{suite['name']}.{test['name']}": test["digest"] for suite in suites for test in suite["testsuite"]
                if "digest" in test}


def main():
    program, name_filter = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "*"
    wrong, first = 0, None
    for order, streams in itertools.product(ORDERS, STREAMS):
        mode = f"threads {order}, streams {streams}"
        output, digests = run(program, name_filter, order, streams)
        if digests is None:
            print(f"{mode}: a test fails\n{output}")
            wrong += 1
            continue
        if first is None:
            first = (mode, digests)
        for test in sorted(first[1].keys() | digests.keys()):
            if first[1].get(test) != digests.get(test):
                print(f"{test}: other bytes with {mode} than with {first[0]}")
                wrong += 1
    tests = len(first[1]) if first else 0
    print(f"{tests} tests in {len(ORDERS) * len(STREAMS)} modes, {wrong} differ or fail")
    return 0 if wrong == 0 and tests > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
