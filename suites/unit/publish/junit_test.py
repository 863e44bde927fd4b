"""junit.xml is what CI systems take: it parses, its counts add up, and no name becomes markup."""

import collections
import json
import pathlib
import sys
import unittest
import xml.etree.ElementTree

SAMPLE = pathlib.Path(sys.argv[2])
ELEMENT = {"pass": None, "fail": "failure", "xpass": "failure", "error": "error", "timeout": "error"}


def read(name):
    root = xml.etree.ElementTree.parse(SAMPLE / name / "junit.xml").getroot()
    return root, json.loads((SAMPLE / name / "record.json").read_text())["cases"]


class JUnit(unittest.TestCase):
    def test_gives_every_case_its_element(self):
        for name in ("conform", "failing"):
            root, cases = read(name)
            wanted = collections.Counter(ELEMENT.get(case["status"], "skipped") for case in cases)
            tests = root.findall("testsuite/testcase")
            got = collections.Counter(test[0].tag if len(test) else None for test in tests)
            self.assertEqual(got, wanted)
            self.assertEqual(len(tests), len(cases))

    def test_counts_add_up(self):
        root, _ = read("failing")
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            for suite in root:
                self.assertEqual(int(suite.get(attribute)), len(suite.findall(f"testcase/{tag}")))
            self.assertEqual(int(root.get(attribute)), sum(int(suite.get(attribute)) for suite in root))
        self.assertEqual(int(root.get("tests")), sum(int(suite.get("tests")) for suite in root))

    def test_says_why_of_whatever_did_not_pass(self):
        root, _ = read("failing")
        for test in root.findall("testsuite/testcase"):
            for element in test:
                self.assertTrue(element.get("message"), test.get("name"))
        messages = [element.get("message") for element in root.iter("skipped")]
        self.assertIn("unsupported: tensor parallel degree 2 (at most 1)", messages)
        crash = next(element for element in root.iter("error") if element.get("type") == "error")
        self.assertIn("killed by signal 9", crash.text)
        self.assertIn("last line", crash.text)
        failure = next(root.iter("failure"))
        self.assertIn("first divergence: step 1, reduction, tensor h.0.attn.qkv.weight, rank 1", failure.text)

    def test_keeps_hostile_names_as_text(self):
        root, _ = read("failing")
        names = [test.get("name") for test in root.iter("testcase")]
        hostile = [name for name in names if "<script>" in name]
        self.assertEqual(hostile, ['<script>alert("1")</script> & | `x` \\x1b[31m\\x01\ufffd\ufffd('])
        self.assertEqual(list(root.iter("script")), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
