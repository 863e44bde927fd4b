"""The checks of the repository must themselves catch what they are for."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import check_dependencies  # noqa: E402
import check_layout  # noqa: E402


class Tree:
    """A folder with the given files, gone at the end."""

    def __init__(self, files):
        self.files = files

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(self.folder.name)
        for name, text in self.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return root

    def __exit__(self, *_):
        self.folder.cleanup()


class DependencyRule(unittest.TestCase):
    def edges(self, name, include):
        with Tree({name: f'#include "{include}"\n'}) as root:
            return check_dependencies.violations(root)[1]

    def test_allows_a_check_to_read_the_oracle(self):
        self.assertEqual(self.edges("harness/checks/a.cc", "harness/oracle/oracle.h"), [])

    def test_refuses_a_harness_that_reads_a_trainer(self):
        self.assertEqual(len(self.edges("harness/launch/a.cc", "reference/trainer/seams.h")), 1)

    def test_refuses_a_trainer_that_reads_the_oracle(self):
        self.assertEqual(len(self.edges("reference/trainer/a.cc", "harness/oracle/oracle.h")), 1)

    def test_refuses_an_oracle_that_reads_a_check(self):
        self.assertEqual(len(self.edges("harness/oracle/a.cc", "harness/checks/check.h")), 1)

    def test_refuses_a_path_that_is_not_relative_to_the_root(self):
        self.assertEqual(len(self.edges("harness/oracle/a.cc", "oracle.h")), 1)

    def test_refuses_a_folder_that_is_not_in_the_table(self):
        self.assertGreaterEqual(len(self.edges("harness/somewhere/a.cc", "harness/oracle/oracle.h")), 1)

    def test_refuses_an_empty_tree(self):
        with Tree({}) as root:
            self.assertEqual(len(check_dependencies.violations(root)[1]), 1)


class LayoutRule(unittest.TestCase):
    def problems(self, files):
        with Tree(files) as root:
            return check_layout.problems(root, list(files))

    def test_refuses_a_file_of_401_lines(self):
        self.assertEqual(self.problems({"ci/README.md": "# ci", "ci/a.py": "\n" * 400}), [])
        self.assertEqual(len(self.problems({"ci/README.md": "# ci", "ci/a.py": "\n" * 401})), 1)

    def test_refuses_a_stray_top_level(self):
        self.assertEqual(len(self.problems({"docs/a.md": "# a"})), 1)

    def test_refuses_a_binary(self):
        self.assertEqual(len(self.problems({"results/a.json": "a\0b"})), 1)

    def test_refuses_code_without_a_readme(self):
        self.assertEqual(len(self.problems({"harness/new/a.cc": ""})), 1)

    def test_refuses_a_function_of_61_lines_unless_it_is_a_table(self):
        def source(lines, above=""):
            return f"{above}\nint Long() {{\n" + "  ++x;\n" * (lines - 2) + "}\n"

        def function(text, name):
            return self.problems({"harness/README.md": "# a", "harness/a/README.md": "# a", name: text})

        self.assertEqual(function(source(60), "harness/a/a.cc"), [])
        self.assertIn("Long has 61 lines", function(source(61), "harness/a/a.cc")[0])
        self.assertIn("Long has 61 lines", function(source(61), "harness/a/a.cu")[0])
        table = "// NOLINTNEXTLINE(readability-function-size): a table"
        self.assertEqual(function(source(61, table), "harness/a/a.cc"), [])

    def test_refuses_markdown_that_a_formatter_of_code_has_been_at(self):
        def problems(text):
            return self.problems({"ci/README.md": text})

        self.assertEqual(problems("# a\n\n| b |\n| --- |\n```\n#define X\n```\n## c"), [])
        self.assertIn("ci/README.md:2: a heading", problems("# a\n##b")[0])
        self.assertIn("ci/README.md:2: a table's rule", problems("# a\n| -- - |")[0])
        self.assertIn("ci/README.md:1: ", problems("#a")[0])
        self.assertEqual(len(problems("")), 1)

    def test_refuses_an_empty_tree(self):
        self.assertEqual(len(self.problems({})), 1)


class Format(unittest.TestCase):
    def test_gives_clang_format_c_and_cuda_sources_alone(self):
        root = pathlib.Path(__file__).resolve().parent.parent.parent
        with Tree({"clang-format": "#!/bin/sh\nfor each; do echo \"$each\"; done\n"}) as stand_in:
            (stand_in / "clang-format").chmod(0o755)
            done = subprocess.run([root / "ci" / "format"], capture_output=True, text=True,
                                  env={"PATH": f"{stand_in}:/usr/bin:/bin"})
        self.assertEqual(done.returncode, 0, done.stderr)
        given = [pathlib.Path(line) for line in done.stdout.splitlines() if not line.startswith("-")]
        self.assertGreater(len(given), 100)
        self.assertEqual({path.suffix for path in given}, {".cc", ".h", ".cu", ".cuh"})


class CacheFolder(unittest.TestCase):
    def test_is_asked_for_where_there_is_no_home(self):
        root = pathlib.Path(__file__).resolve().parent.parent.parent
        for script in ("cache", "adapters"):
            done = subprocess.run([root / "ci" / script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertRegex(done.stderr, "^ci/cache: HOME and LOCKSTEP_CACHE are not set; set LOCKSTEP_CACHE to a folder .*\n$")


class IgnoredFiles(unittest.TestCase):
    def test_what_the_commands_of_the_readme_leave_is_not_part_of_the_tree(self):
        root = pathlib.Path(__file__).resolve().parent.parent.parent
        left = ["lockstep-out/record.json", "build/bin/lockstep", "build-asan/build.ninja", "build-cuda/x.o"]
        done = subprocess.run(["git", "-c", f"safe.directory={root}", "check-ignore", *left], cwd=root,
                              capture_output=True, text=True)
        self.assertEqual(done.stdout.split(), left, done.stderr)


if __name__ == "__main__":
    unittest.main()
