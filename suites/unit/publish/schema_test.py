"""record.json satisfies the published schema, and the schema refuses records that are broken."""

import copy
import json
import pathlib
import sys
import unittest

import jsonschema

SOURCE, SAMPLE = (pathlib.Path(argument) for argument in sys.argv[1:3])
VALIDATOR = jsonschema.Draft7Validator(json.loads((SOURCE / "results/schema/record.schema.json").read_text()))


def read(name):
    def refuse(constant):
        raise ValueError(constant + " is no JSON")

    return json.loads((SAMPLE / name / "record.json").read_text(), parse_constant=refuse)


class Schema(unittest.TestCase):
    def test_is_a_schema(self):
        jsonschema.Draft7Validator.check_schema(VALIDATOR.schema)

    def test_takes_records_with_every_status(self):
        for name in ("conform", "failing"):
            errors = [f"{list(e.absolute_path)}: {e.message}" for e in VALIDATOR.iter_errors(read(name))]
            self.assertEqual(errors, [])
        seen = {case["status"] for case in read("failing")["cases"]}
        self.assertEqual(seen, set(VALIDATOR.schema["definitions"]["status"]["enum"]))

    def test_lets_readers_ignore_unknown_fields(self):
        record = read("conform")
        record["later"] = record["cases"][0]["later"] = {"version": "1.1"}
        self.assertTrue(VALIDATOR.is_valid(record))

    def test_refuses_what_is_broken(self):
        faults = {
            "another major version": lambda r: r.update(schema_version="2.0"),
            "no machine": lambda r: r.pop("system"),
            "unknown status": lambda r: r["cases"][0].update(status="passed"),
            "pass without a check": lambda r: r["cases"][0].update(checks=[]),
            "pass that compared nothing": lambda r: r["cases"][0]["checks"][0].update(compared=0),
            "unknown class": lambda r: r["cases"][0]["checks"][0].update({"class": "close"}),
            "number as null": lambda r: r["cases"][0]["checks"][0].update(measured=None),
            "number as other text": lambda r: r["cases"][0]["checks"][0].update(measured="nan"),
            "divergence without a step": lambda r: r["cases"][0]["checks"][0].update(first_divergence={"phase": "load"}),
            "unsupported without a reason": lambda r: r["cases"][0].update(status="unsupported", reason=""),
            "negative memory": lambda r: r["cases"][0]["memory"][0].update(peak_bytes=-1),
            "count of an unknown status": lambda r: r["summary"]["counts"].update(passed=1),
            "verdict of two lines": lambda r: r["summary"].update(verdict="a\nb"),
            "cut hash": lambda r: r["cases"][0]["artifacts"][0].update(sha256="abc"),
        }
        for name, spoil in faults.items():
            record = copy.deepcopy(read("conform"))
            spoil(record)
            self.assertFalse(VALIDATOR.is_valid(record), name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
