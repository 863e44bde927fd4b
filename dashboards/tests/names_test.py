"""The dashboard names only metrics that are written, and keeps to the rules of its README."""

import copy
import re
import sys
import unittest

import dashboard as dashboards

SOURCE, SAMPLE = sys.argv[1:3]
DASHBOARD = dashboards.load(SOURCE)


def unknown(dashboard):
    return dashboards.names_used(dashboard) - dashboards.names_written(SAMPLE)


class Names(unittest.TestCase):
    def test_are_all_written(self):
        self.assertEqual(unknown(DASHBOARD), set())
        self.assertGreater(len(dashboards.names_used(DASHBOARD)), 15)

    def test_would_be_missed(self):
        spoilt = copy.deepcopy(DASHBOARD)
        next(dashboards.panels(spoilt))["targets"][0]["expr"] = "sum(lockstep_made_up_total)"
        self.assertEqual(unknown(spoilt), {"lockstep_made_up_total"})

    def test_every_metric_is_shown_somewhere(self):
        base = {re.sub(r"_(bucket|sum|count)$", "", name) for name in dashboards.names_written(SAMPLE)}
        shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in dashboards.names_used(DASHBOARD)}
        not_for_panels = {"lockstep_last_step_timestamp_seconds", "lockstep_suite_last_completion_timestamp_seconds"}
        self.assertEqual(base - shown, not_for_panels)


class Panels(unittest.TestCase):
    def test_have_title_description_and_unit(self):
        for panel in dashboards.panels(DASHBOARD):
            for text in (panel["title"], panel["description"], panel["fieldConfig"]["defaults"]["unit"]):
                self.assertTrue(text, panel["title"])

    def test_have_ids_of_their_own_and_do_not_overlap(self):
        taken = {}
        for panel in DASHBOARD["panels"]:
            at = panel["gridPos"]
            self.assertLessEqual(at["x"] + at["w"], 24)
            for x in range(at["x"], at["x"] + at["w"]):
                for y in range(at["y"], at["y"] + at["h"]):
                    self.assertIsNone(taken.setdefault((x, y), None), panel["title"])
                    taken[(x, y)] = panel["title"]
        ids = [panel["id"] for panel in DASHBOARD["panels"]]
        self.assertEqual(len(ids), len(set(ids)))

    def test_take_data_source_job_and_instance_from_variables(self):
        self.assertEqual([v["name"] for v in DASHBOARD["templating"]["list"]], ["datasource", "job", "instance"])
        for panel in dashboards.panels(DASHBOARD):
            for holder in [panel] + panel["targets"]:
                self.assertEqual(holder["datasource"]["uid"], "${datasource}")
        for title, expression, _ in dashboards.targets(DASHBOARD):
            selectors = re.findall(r"lockstep_[a-z0-9_]+(\{[^}]*\})?", expression)
            for selector in selectors:
                self.assertIn('job=~"$job",instance=~"$instance"', selector, title)

    def test_rate_over_the_interval_that_the_server_offers(self):
        for title, expression, _ in dashboards.targets(DASHBOARD):
            for interval in re.findall(r"\[([^\]]*)\]", expression):
                self.assertEqual(interval, "$__rate_interval", title)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
