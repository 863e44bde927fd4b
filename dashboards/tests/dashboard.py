"""What the tests of the dashboards share: panels, expressions, and the metric names that they use."""

import json
import pathlib
import re

NAME = re.compile(r"\blockstep_[a-z0-9_]+")


def load(source):
    return json.loads((pathlib.Path(source) / "dashboards/grafana/lockstep.json").read_text())


def panels(dashboard):
    """Panels that show something, those inside folded rows with them."""
    for panel in dashboard["panels"]:
        yield from panel.get("panels", [])
        if panel["type"] != "row":
            yield panel


def targets(dashboard):
    """(panel's title, expression, legend) of every query."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            yield panel["title"], target["expr"], target.get("legendFormat", "")


def variables(dashboard):
    return [v["definition"] for v in dashboard["templating"]["list"] if v["type"] == "query"]


def names_used(dashboard):
    texts = [expression for _, expression, _ in targets(dashboard)] + variables(dashboard)
    return {name for text in texts for name in NAME.findall(text)}


def names_written(sample):
    """Names of the series in every metrics.prom of the sample."""
    files = sorted(pathlib.Path(sample).glob("*/metrics.prom"))
    return {NAME.match(line).group() for file in files for line in file.read_text().splitlines() if NAME.match(line)}


def for_all(expression):
    """The expression with every variable at "All"."""
    return expression.replace("$job", ".+").replace("$instance", ".+").replace("$__rate_interval", "1m")
