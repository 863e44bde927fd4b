#!/usr/bin/env python3
"""Reads the include graph and fails on any edge that the layout does not allow.

    ci/check_dependencies.py [ROOT]

The table below is the rule of the README in a form that can be run: folder -> folders it may include from (its own is
always allowed). The longest matching prefix counts.
"""
import pathlib
import re
import sys

ALLOWED = {
    "harness/protocol": [],
    "harness/oracle": ["harness/protocol"],
    "harness/inputs": ["harness/protocol"],
    "harness/checks": ["harness/protocol", "harness/oracle", "harness/stalls"],
    "harness/schedule": ["harness/protocol"],
    "harness/stalls": ["harness/protocol", "harness/schedule"],
    "harness/launch": ["harness/protocol"],
    "harness/publish": ["harness/protocol"],
    "harness/conform": ["harness/protocol", "harness/oracle", "harness/inputs", "harness/checks", "harness/schedule",
                        "harness/launch", "harness/publish", "harness/stalls"],
    "harness/cli": ["harness"],
    "reference/device": ["harness/protocol"],
    "reference/trainer": ["harness/protocol", "reference/device"],
    "reference/mpi": ["reference/device"],
    "reference/virtual_gpu": [],
    "reference/backends": ["harness/protocol", "reference/device", "reference/mpi", "reference/trainer"],
    "reference/adapters": ["harness/protocol"],
    # A fault is a decorator over the trainer's seams, so the faulty trainer links the trainer; the harness never does.
    "suites/faults": ["harness/protocol", "reference"],
    "suites/collectives": ["reference"],
    "suites/unit/trainer": ["harness", "reference", "suites/unit"],
    "suites/kernels": ["harness/protocol", "harness/oracle", "reference"],
    "suites/bench": ["harness", "reference"],
    "suites/virtual_gpu": ["reference/virtual_gpu"],
    "suites": ["harness"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def rule_for(path):
    """The longest key of ALLOWED that is a folder above `path`, or None."""
    keys = [key for key in ALLOWED if path.startswith(key + "/")]
    return max(keys, key=len, default=None)


def violations(root):
    files = [path for top in ("harness", "reference", "suites") for path in sorted((root / top).rglob("*"))
             if path.suffix in (".h", ".cc", ".cu", ".cuh")]
    if not files:
        return 0, [f"{root}: no source file found"]
    edges, wrong = 0, []
    for path in files:
        name = path.relative_to(root).as_posix()
        key = rule_for(name)
        if key is None:
            wrong.append(f"{name}: its folder is not in the table of ci/check_dependencies.py")
            continue
        for include in INCLUDE.findall(path.read_text()):
            edges += 1
            if not include.startswith(("harness/", "reference/", "suites/")):
                wrong.append(f'{name}: #include "{include}" is not relative to the root')
            elif not any(include.startswith(folder + "/") for folder in [key, *ALLOWED[key]]):
                wrong.append(f"{name}: {key} must not include {include}")
    if edges == 0:
        wrong.append(f"{root}: no include found")
    return edges, wrong


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    edges, wrong = violations(root)
    for line in wrong:
        print(line)
    print(f"{edges} includes read, {len(wrong)} against the rule")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
