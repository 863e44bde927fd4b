"""Every expression of the dashboard returns data from a Prometheus that scraped what Lockstep wrote.

The files of the sample are served on a free port of the loopback; a Prometheus of our own scrapes each every second.
Everything waits at most MOST_SECONDS; the server is a thread and Prometheus a child that is ended and awaited.
"""

import functools
import http.server
import json
import math
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

import dashboard as dashboards

SOURCE, SAMPLE = sys.argv[1:3]
MOST_SECONDS = 90
JOBS = ("conform", "failing", "train")


class Files(http.server.SimpleHTTPRequestHandler):
    def guess_type(self, path):
        return "text/plain; version=0.0.4"

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(port):
    jobs = [{"job_name": job, "metrics_path": f"/{job}/metrics.prom",
             "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job in JOBS]
    return json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs})  # JSON is YAML


class Prometheus:
    """A server of our own in a folder of its own; query() gives the result's list."""

    def __init__(self, folder, scraped_port):
        self.port = free_port()
        config = pathlib.Path(folder) / "prometheus.yml"
        config.write_text(configuration(scraped_port))
        self.log = open(pathlib.Path(folder) / "log", "w+")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
            stdout=self.log, stderr=subprocess.STDOUT)

    def query(self, expression):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def wait_for_scrapes(self):
        deadline = time.monotonic() + MOST_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                if len(self.query("up == 1 and on (job) lockstep_build_info")) == len(JOBS):
                    return
            except OSError:
                pass  # not listening yet
            time.sleep(0.2)
        self.log.seek(0)
        raise AssertionError("Prometheus scraped nothing: " + self.log.read())

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Expressions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        handler = functools.partial(Files, directory=SAMPLE)
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.prometheus = Prometheus(cls.folder.name, cls.server.server_port)
        cls.addClassCleanup(cls.folder.cleanup)
        cls.addClassCleanup(cls.server.shutdown)
        cls.addClassCleanup(cls.prometheus.end)
        cls.prometheus.wait_for_scrapes()

    def test_return_data(self):
        for title, expression, legend in dashboards.targets(dashboards.load(SOURCE)):
            with self.subTest(title):
                result = self.prometheus.query(dashboards.for_all(expression))
                self.assertTrue(result, expression)
                numbers = [float(series["value"][1]) for series in result]
                # A ratio that is not a number is a finding of the failing run; a panel of nothing else is broken.
                self.assertTrue(any(math.isfinite(number) for number in numbers), expression)
                for label in re.findall(r"{{(\w+)}}", legend):
                    self.assertTrue(all(series["metric"].get(label) for series in result), f"{title}: {label}")

    def test_would_return_nothing_for_a_metric_that_is_not_there(self):
        self.assertEqual(self.prometheus.query("lockstep_made_up_total"), [])

    def test_tell_the_figures_that_were_written(self):
        one = self.prometheus.query('sum(lockstep_tests{job="conform",status="pass"})')
        self.assertEqual(one[0]["value"][1], "4")
        rate = self.prometheus.query('sum(lockstep_tokens_total{job="train"}) / sum(lockstep_step_duration_seconds_sum{job="train"})')
        self.assertAlmostEqual(float(rate[0]["value"][1]), 406 / 1.25, places=6)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
