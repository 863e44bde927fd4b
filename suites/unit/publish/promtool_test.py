"""`promtool check metrics` has nothing to say about metrics.prom, and would have."""

import pathlib
import subprocess
import sys
import unittest

SAMPLE = pathlib.Path(sys.argv[2])


def check(text):
    return subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60)


class Promtool(unittest.TestCase):
    def test_finds_nothing(self):
        for name in ("conform", "failing", "train"):
            text = (SAMPLE / name / "metrics.prom").read_bytes()
            self.assertGreater(text.count(b"# TYPE lockstep_"), 8)
            self.assertEqual(text.count(b"# TYPE "), text.count(b"# HELP lockstep_"))
            ended = check(text)
            self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, b"", b""), name)

    def test_would_find_something(self):
        text = (SAMPLE / "conform/metrics.prom").read_bytes()
        self.assertNotEqual(check(text.replace(b"steps_total", b"steps")).returncode, 0)
        self.assertNotEqual(check(text.replace(b"# HELP lockstep_tests ", b"# HELP lockstep_tests \n")).returncode, 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
