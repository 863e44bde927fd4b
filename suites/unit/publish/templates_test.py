"""The CI templates parse, and name only scripts and files that Lockstep has."""

import pathlib
import re
import sys
import unittest

import yaml

SOURCE, SAMPLE = (pathlib.Path(argument) for argument in sys.argv[1:3])
TEMPLATES = {path.stem: path.read_text() for path in sorted((SOURCE / "ci/templates").glob("*.yml"))}


class Templates(unittest.TestCase):
    def test_parse(self):
        self.assertEqual(set(TEMPLATES), {"github", "gitlab"})
        github, gitlab = (yaml.safe_load(TEMPLATES[name]) for name in ("github", "gitlab"))
        self.assertTrue(github["jobs"]["conform"]["steps"])
        self.assertTrue(gitlab["lockstep"]["script"])
        self.assertEqual(gitlab["lockstep"]["artifacts"]["when"], "always")

    def test_call_scripts_that_exist(self):
        for name, text in TEMPLATES.items():
            scripts = set(re.findall(r"lockstep\"?/(ci/\w+)", text))
            self.assertTrue(scripts, name)
            for script in scripts:
                self.assertTrue((SOURCE / script).is_file(), f"{name}: {script}")

    def test_build_the_command_line_alone(self):
        for name, text in TEMPLATES.items():
            self.assertEqual(re.findall(r"ci/build\"? *(.*)", text), ["release lockstep"], name)

    def test_keep_files_that_are_written(self):
        for name, text in TEMPLATES.items():
            files = set(re.findall(r"lockstep-out/([\w.]+)", text))
            self.assertIn("record.json", files)
            for file in files:
                self.assertTrue((SAMPLE / "failing" / file).is_file(), f"{name}: {file}")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
