#!/usr/bin/env python3
"""What virtual GPUs do not cover must not compile or link, for the reason that its source names in the first line
(`// Refused: REGULAR EXPRESSION`); `covered.cu` must, and run. A called kernel is compiled with optimisation too, which
might see through an attribute of a function, and so is what is covered.

    refused.py COMPILER ROOT LIBRARIES...
"""
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

compiler, root, libraries = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
PREFIX = "// Refused: "


def problem(source, level, folder):
    """A line that says what is wrong, or ""."""
    expected = source.read_text().splitlines()[0]
    program = folder / (source.stem + level)
    done = subprocess.run([compiler, "-std=c++20", level, "-Wall", "-Wextra", "-Werror", f"-I{root}", "-isystem",
                           root / "reference/virtual_gpu/include", "-x", "c++", source, "-x", "none", *libraries,
                           "-pthread", "-o", program], capture_output=True, text=True)
    if expected.startswith(PREFIX):
        if done.returncode == 0:
            return f"{source.name} {level}: compiles and links, and should be refused"
        if not re.search(expected[len(PREFIX):], done.stderr.replace(str(source), "")):
            return f"{source.name} {level}: refused, but not for {expected[len(PREFIX):]}:\n{done.stderr[-2000:]}"
        return ""
    if done.returncode != 0:
        return f"{source.name} {level}: should compile and link:\n{done.stderr[-2000:]}"
    code = subprocess.run([program]).returncode
    return f"{source.name} {level}: ended with {code}" if code != 0 else ""


def main():
    sources = sorted((root / "suites/virtual_gpu/refused").glob("*.cu"))
    refused = [source for source in sources if source.read_text().startswith(PREFIX)]
    if len(refused) + 1 != len(sources) or len(refused) < 10:
        print(f"{len(sources)} sources, {len(refused)} to be refused: all but one should be, ten or more")
        return 1
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(problem, source, level, pathlib.Path(folder)) for source in sources for level in ("-O0", "-O2")
                if level == "-O0" or source.stem.startswith(("covered", "kernel_called"))]
        wrong = [job.result() for job in jobs if job.result()]
    print("\n".join(wrong) or f"{len(refused)} uses are refused, each for its reason")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
