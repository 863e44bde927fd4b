#!/usr/bin/env python3
"""Holds the repository to its layout: the named top level, files of at most 400 lines, functions of at most 60, no
binary, no folder without a README where code lives, Markdown whose headings are headings. A function that is a table says
so in the line above it, in clang-tidy's words: NOLINTNEXTLINE(readability-function-size).

    ci/check_layout.py [ROOT]
"""
import pathlib
import re
import subprocess
import sys

TOP = {"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "reference", "suites", "harness", "results", "ci",
       "dashboards"}
CODE = {".cc", ".h", ".cu", ".cuh", ".py"}
MAX_LINES = 400
MAX_FUNCTION_LINES = 60
TABLE = "NOLINTNEXTLINE(readability-function-size)"
NEEDS_README = ("harness", "reference", "suites", "results", "ci", "dashboards")


def tracked(root):
    out = subprocess.run(["git", "-c", f"safe.directory={root}", "ls-files", "-z", "--cached", "--others",
                          "--exclude-standard"], cwd=root, capture_output=True, check=True).stdout
    return [name for name in out.decode().split("\0") if name and (root / name).is_file()]


def long_functions(root, names):
    """By ctags, which knows where a function of C++ ends."""
    sources = [name for name in names if pathlib.PurePosixPath(name).suffix in CODE - {".py"}]
    if not sources:
        return []
    out = subprocess.run(["ctags", "-L", "-", "-x", "--_xformat=%{end}\t%n\t%N\t%F", "--fields=+ne", "--kinds-C++=f",
                          "--langmap=C++:+.cu.cuh"], cwd=root, input="\n".join(sources), capture_output=True, check=True,
                         text=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    found = [row for row in rows if row[0].strip().isdigit()]
    wrong = [] if found or len(sources) < 10 else ["ctags found no function"]
    for end, start, name, file in found:
        length = int(end) - int(start) + 1
        if length <= MAX_FUNCTION_LINES:
            continue
        above = (root / file).read_text().splitlines()[max(0, int(start) - 2)]
        if TABLE not in above:
            wrong.append(f"{file}:{start}: {name.strip()} has {length} lines, at most {MAX_FUNCTION_LINES}")
    return wrong


def not_markdown(name, text):
    """What a formatter of another language does to it: "#Heading", "| -- - |"."""
    wrong, code = [], False
    if not text.startswith("# "):
        wrong.append(f"{name}:1: a Markdown file begins with a heading, `# `")
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            code = not code
        elif not code and re.match(r"\s*#+[^#\s]", line):
            wrong.append(f"{name}:{number}: a heading needs a space after #")
        elif not code and re.search(r"\|\s*-+ -", line):
            wrong.append(f"{name}:{number}: a table's rule is | --- |, without spaces in it")
    return wrong


def problems(root, names):
    wrong = []
    if not names:
        wrong.append(f"{root}: no file found")
    for name in names:
        path = root / name
        first = name.split("/")[0]
        if first not in TOP and not first.startswith("."):
            wrong.append(f"{name}: not in the named top level")
        content = path.read_bytes()
        if b"\0" in content:
            wrong.append(f"{name}: binary files are generated, not kept")
        lines = content.count(b"\n")
        if path.suffix in CODE and lines > MAX_LINES:
            wrong.append(f"{name}: {lines} lines, at most {MAX_LINES}")
        if path.suffix == ".md":
            wrong += not_markdown(name, content.decode())
    wrong += long_functions(root, names)
    for top in NEEDS_README:
        folders = {pathlib.PurePosixPath(name).parent for name in names
                   if name.startswith(top + "/") and pathlib.PurePosixPath(name).suffix in CODE}
        for folder in sorted(folders):
            chain = [folder, *folder.parents]
            if not any(f"{up}/README.md" in names for up in chain if str(up) != "."):
                wrong.append(f"{folder}: no README.md here or above")
    return wrong


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    names = tracked(root)
    wrong = problems(root, names)
    for line in wrong:
        print(line)
    print(f"{len(names)} files looked at, {len(wrong)} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
