#!/usr/bin/env python3
"""Every kernel source has its PTX, for compute_75, and in it every kernel of results/reference/cuda_kernels.txt.

    ci/check_ptx.py PTX_DIR
"""
import pathlib
import re
import sys

from cuda_resources import COLUMNS, readable


def kernels_of(table):
    """The table's text -> {source: kernels}."""
    lines = [line for line in table.splitlines() if line and not line.startswith("#")]
    kernels = {}
    for line in lines[1:]:
        cells = line.split(None, len(COLUMNS) - 1)
        kernels.setdefault(cells[0], set()).add(cells[-1])
    return kernels


def problems(source, ptx, wanted):
    """ptx: its text, or None."""
    if ptx is None:
        return [f"{source}: no PTX"]
    wrong = [] if ".target sm_75" in ptx else [f"{source}: its PTX is not for compute_75"]
    entries = set(readable(re.findall(r"\.visible \.entry (\w+)", ptx)))
    wrong += [f"{source}: no entry {kernel} in its PTX" for kernel in sorted(wanted - entries)]
    wrong += [f"{source}: {kernel} is in its PTX and not in the table; ci/cuda writes it" for kernel in
              sorted(entries - wanted)]
    return wrong


def main():
    root, folder = pathlib.Path(__file__).resolve().parent.parent, pathlib.Path(sys.argv[1])
    kernels = kernels_of((root / "results/reference/cuda_kernels.txt").read_text())
    sources = sorted((root / "reference/backends/cuda").glob("*.cu"))
    wrong = [] if sources else ["no kernel source found"]
    for source in sources:
        path = folder / f"{source.stem}.ptx"
        wrong += problems(source.name, path.read_text() if path.exists() else None, kernels.get(source.name, set()))
    for line in wrong:
        print(line)
    print(f"PTX of {len(sources)} sources, {sum(map(len, kernels.values()))} kernels, {len(wrong)} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
