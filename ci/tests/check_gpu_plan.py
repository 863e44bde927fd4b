#!/usr/bin/env python3
"""Holds `ci/gpu --dry-run` to what ctest knows in a folder that is built: every suite with the label `cuda`, every
profile and every test that one GPU can not run.

    ci/tests/check_gpu_plan.py BUILD
"""
import json
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent.parent
build = sys.argv[1]


def said(command):
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


tests = json.loads(said(["ctest", "--test-dir", build, "-L", "^cuda$", "--show-only=json-v1"]))["tests"]
one, many = said(["ci/gpu", "--dry-run", "1", build]), said(["ci/gpu", "--dry-run", "16", build])
suites = set()
for test in tests:
    labels = next(each["value"] for each in test["properties"] if each["name"] == "LABELS")
    suites |= {label for label in labels if label != "cuda" and not label.startswith("gpus_")}
    few = [label for label in labels if label.startswith("gpus_") and label != "gpus_1"]
    if few and f"left out: {test['name']}: needs" not in one:
        sys.exit(f"with one GPU the plan does not say that {test['name']} is left out")
for suite in suites:
    if not re.search(f"^{suite}: [1-9][0-9]* of ", one, re.M):
        sys.exit(f"the plan does not name the suite {suite}")
counted = sum(int(number) for number in re.findall(r"^\w+: (\d+) of \d+ tests$", many, re.M))
if counted != len(tests):
    sys.exit(f"with 16 GPUs the plan runs {counted} tests, ctest knows {len(tests)} with the label cuda")
for profile in (root / "suites" / "conformance" / "profiles").glob("*.toml"):
    if f"profile {profile.stem}: " not in one:
        sys.exit(f"the plan does not name the profile {profile.stem}")
left = [line for line in many.splitlines() if "left out" in line]
if len(left) != 1 or not left[0].startswith("virtual_gpu: "):
    sys.exit("with 16 GPUs the plan leaves out more than the tests of virtual GPUs:\n" + "\n".join(left))
print(f"{len(tests)} tests of {len(suites)} suites ({', '.join(sorted(suites))}) and every profile are in the plan")
