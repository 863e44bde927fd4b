#!/usr/bin/env python3
"""Registers, spills, local and shared memory of every CUDA kernel, from what ptxas said while build-cuda was built.

    ci/cuda_resources.py NVCC BUILD_DIR TABLE [--check]

Fails for a kernel that spills or keeps anything in local memory. Writes TABLE; with --check compares with it instead,
where it was written with this toolkit (another's registers differ).
"""
import pathlib
import re
import subprocess
import sys

HEADER = """\
# What ptxas says of each kernel, in numbers and bytes. Written by ci/cuda; compiled only, no figure comes from a GPU.
# toolkit {toolkit}
"""
COLUMNS = ("source", "architecture", "registers", "spill_stores", "spill_loads", "local", "shared", "kernel")
KERNEL = re.compile(
    r"Compiling entry function '(?P<name>[^']+)' for '(?P<architecture>sm_\w+)'.*?"
    r"(?P<local>\d+) bytes stack frame, (?P<spill_stores>\d+) bytes spill stores, "
    r"(?P<spill_loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)", re.DOTALL)


def readable(names):
    """Mangled names -> template arguments kept, namespaces, result and parameters left out."""
    out = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    short = []
    for name in out.splitlines():
        name = re.sub(r"\(anonymous namespace\)::|lockstep::(backends::cuda::(kernels::)?|device::)?", "", name)
        name = re.sub(r"^void ", "", name)
        depth, end = 0, len(name)
        for at, c in enumerate(name):  # the parameters open outside of < >
            depth += (c == "<") - (c == ">")
            if c == "(" and depth == 0:
                end = at
                break
        short.append(name[:end])
    return short


def parse(text, source):
    """What ptxas said of one source -> rows."""
    found = [match.groupdict() for match in KERNEL.finditer(text)]
    rows = []
    for kernel, name in zip(found, readable([k["name"] for k in found])):
        shared = re.search(r"(\d+) bytes smem", kernel["rest"])
        rows.append({**{c: int(kernel[c]) for c in ("registers", "spill_stores", "spill_loads", "local")},
                     "shared": int(shared[1]) if shared else 0, "architecture": kernel["architecture"],
                     "source": source, "kernel": name})
    return rows


def problems(rows, sources, architectures):
    wrong = []
    for row in rows:
        for what in ("spill_stores", "spill_loads", "local"):
            if row[what]:
                wrong.append(f"{row['source']}: {row['kernel']} on {row['architecture']}: {row[what]} bytes of {what}")
    seen = {(row["source"], row["architecture"]) for row in rows}
    wrong += [f"{source}: no kernel for {architecture}" for source in sources for architecture in architectures
              if (source, architecture) not in seen]
    if not sources:
        wrong.append("no kernel source found")
    return wrong


def table(rows, toolkit):
    rows = sorted(rows, key=lambda row: (row["source"], row["kernel"], int(row["architecture"].removeprefix("sm_"))))
    lines = [COLUMNS] + [tuple(str(row[c]) for c in COLUMNS) for row in rows]
    widths = [max(len(line[c]) for line in lines) for c in range(len(COLUMNS) - 1)] + [0]
    body = "".join(" ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() + "\n" for line in lines)
    return HEADER.format(toolkit=toolkit) + body


def toolkit_of(nvcc):
    said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"V([\d.]+)", said)[1]


def main():
    nvcc, build, path = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    root = pathlib.Path(__file__).resolve().parent.parent
    sources = sorted(p.name for p in (root / "reference/backends/cuda").glob("*.cu"))
    rows = []
    for said in build.rglob("*.cu.o.ptxas"):
        source = said.name.removesuffix(".o.ptxas")
        if source in sources:
            rows += parse(said.read_text(), source)
    wrong = problems(rows, sources, ("sm_80", "sm_90", "sm_100"))
    toolkit = toolkit_of(nvcc)
    text = table(rows, toolkit)
    if "--check" not in sys.argv:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    elif not path.exists():
        wrong.append(f"{path}: missing; ci/cuda writes it")
    elif f"# toolkit {toolkit}\n" not in path.read_text():
        print(f"{path} was written with another toolkit than {toolkit}: not compared")
    elif path.read_text() != text:
        wrong.append(f"{path}: is not what this tree compiles to; ci/cuda writes it anew")
    for line in wrong:
        print(line)
    print(f"{len(rows)} kernels of {len(sources)} sources, toolkit {toolkit}: "
          f"{max((row['registers'] for row in rows), default=0)} registers at most, {len(wrong)} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
