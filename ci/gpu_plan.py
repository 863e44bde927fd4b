#!/usr/bin/env python3
"""What ci/gpu runs on a machine with so many GPUs, one rank a GPU, from what a build folder's ctest and lockstep know.

    ci/gpu_plan.py BUILD GPUS                  the plan, in words: every suite, what is left out of it, and why
    ci/gpu_plan.py BUILD GPUS --labels-left-out  a regular expression for ctest -LE

The CUDA trainer's tests have the label `cuda`, their suite's, and `gpus_N` where they need N GPUs. Tests of `conformance`
look at LOCKSTEP_MOST_RANKS themselves: their cases and faults with more ranks are named here as left out. Ends with 1 where a suite
has no test (is it built?), or where a test is the CUDA trainer's and has not the label.
"""
import collections
import json
import pathlib
import subprocess
import sys

SUITES = ("kernels", "collectives", "conformance")  # each must be there
VIRTUAL = "virtual_gpu"


def labels_of(test):
    return next((each["value"] for each in test.get("properties", []) if each["name"] == "LABELS"), [])


def gpus_of(test):
    return max((int(label[len("gpus_"):]) for label in labels_of(test) if label.startswith("gpus_")), default=1)


def is_cuda(test):
    return "cuda" in labels_of(test)


def suite_of(test):
    return next(label for label in labels_of(test) if label != "cuda" and not label.startswith("gpus_"))


def problems(tests):
    wrong = [f"suite {suite}: ctest knows no test of the CUDA trainer; is it built?" for suite in SUITES
             if not any(is_cuda(test) and suite in labels_of(test) for test in tests)]
    for test in tests:
        name = test["name"]
        if name.endswith("_NOT_BUILT") and name.startswith(("kernels_cuda", "collectives_cuda", "conformance_")):
            wrong.append(f"{name}: build the target cuda_suites first")
        elif ("cuda" in name.split(" ")[0] and not set(labels_of(test)) & {"cuda", VIRTUAL}
              and name.split(".")[0] in (*SUITES, "kernels_cuda")):
            wrong.append(f"{name}: a test of the CUDA trainer without the label cuda")
    return wrong


def labels_left_out(tests, gpus):
    more = sorted({gpus_of(test) for test in tests if is_cuda(test) and gpus_of(test) > gpus})
    return "^gpus_(" + "|".join(str(each) for each in more or [0]) + ")$"


def plan(tests, cases, profiles, faults, gpus):
    """Lines of the plan. `cases`: ranks by name; `profiles`: case ids by name; `faults`: case by name."""
    suites = collections.defaultdict(list)
    for test in tests:
        if is_cuda(test):
            suites[suite_of(test)].append(test)
    lines = [f"with {gpus} GPU{'s' if gpus > 1 else ''}, one rank a GPU:"]
    for suite in sorted(suites):
        few = [test for test in suites[suite] if gpus_of(test) > gpus]
        lines.append(f"{suite}: {len(suites[suite]) - len(few)} of {len(suites[suite])} tests")
        lines += [f"  left out: {test['name']}: needs {gpus_of(test)} GPUs" for test in few]
        if suite == "conformance":
            lines += conformance(cases, profiles, faults, gpus)
    lines.append("benchmarks: bench_trainer with the CUDA trainer" + (
        " on one GPU and on two" if gpus > 1 else " on one GPU\n  left out: two ranks beside one: needs 2 GPUs"))
    virtual = sum(VIRTUAL in labels_of(test) for test in tests)
    lines.append(f"{VIRTUAL}: left out, {virtual} tests here: they test virtual GPUs, on any machine (ctest -L {VIRTUAL})")
    return lines


def conformance(cases, profiles, faults, gpus):
    lines = []
    for profile, ids in sorted(profiles.items()):
        mine = {name: ranks for name, ranks in cases.items() if name.split("/")[0] in ids}
        few = {name: ranks for name, ranks in mine.items() if ranks > gpus}
        lines.append(f"  profile {profile}: {len(mine) - len(few)} of {len(mine)} cases")
        lines += [f"    left out: {name}: needs {ranks} GPUs" for name, ranks in sorted(few.items())]
    few = {name: case for name, case in faults.items() if cases[case] > gpus}
    lines.append(f"  faults: {len(faults) - len(few)} of {len(faults)}")
    lines += [f"    left out: fault {name}: its case {case} needs {cases[case]} GPUs" for name, case in sorted(few.items())]
    return lines


def listed(build, what):
    done = subprocess.run([build / "bin" / "lockstep", "list", what, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"ci/gpu: lockstep list {what}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def main():
    build, gpus = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    if not (build / "bin" / "lockstep").exists():
        print(f"ci/gpu: {build}: lockstep is not built there; expected a folder that ci/build or ci/gpu has built",
              file=sys.stderr)
        return 2
    done = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"ci/gpu: {build}: ctest can't list its tests: {done.stderr.strip()}")
    tests = json.loads(done.stdout)["tests"]
    wrong = problems(tests)
    for line in wrong:
        print(f"ci/gpu: {line}", file=sys.stderr)
    if "--labels-left-out" in sys.argv[3:]:
        print(labels_left_out(tests, gpus))
    else:
        print("\n".join(plan(tests, {each["name"]: each["world_size"] for each in listed(build, "cases")},
                             {each["name"]: each["cases"] for each in listed(build, "profiles")},
                             {each["name"]: each["case"] for each in listed(build, "faults")}, gpus)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
