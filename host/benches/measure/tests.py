"""Tests of what reads and reckons: `cd host/benches && python3 -m unittest measure.tests`."""

from __future__ import annotations

import json
import unittest
from pathlib import Path

from .accounts import machine_time
from .bench import Cores, MeasureError
from .callgrind import parse_total
from .cli import _parser
from .load import Paced, parse_h2load, parse_s_time, parse_wrk, shown
from .peers import Setting
from .peers.tollgate import configuration
from .quantiles import percentile, spread
from .request import request_bytes
from .results import _text
from .samples import Sample
from .scenarios import CELLS
from .spread import difference, summarise
from .startup import BALANCERS
from .tables import TABLES, all_tables

H2LOAD = """\
finished in 1.00s, 4993.89 req/s, 872.96KB/s
requests: 5000 total, 5000 started, 5000 done, 4990 succeeded, 10 failed, 3 errored, 0 timeout
status codes: 4990 2xx, 0 3xx, 0 4xx, 7 5xx
"""
WRK = "Running 1s test\nfigures requests=41911 bytes=50000000 failed=2 p50=858 p99=8006\n"
S_TIME_NEW = """\
Collecting connection statistics for 1 seconds
tttt

4 connections in 0.31s; 12.9 connections/user sec
4 connections in 2 real seconds, 1190 bytes read per connection
"""


def sample(round_number: int, cpu_seconds: float, undisturbed: bool = True, requests: int = 1_000_000) -> Sample:
    return Sample(round_number, 1.0, requests, 0, 0, cpu_seconds, 0.25, 0.75, 0.0, 0.0, undisturbed, None, None)


class Generators(unittest.TestCase):
    def test_h2load_counts_what_succeeded(self) -> None:
        finished = parse_h2load(H2LOAD, "h2load")
        self.assertEqual((finished.requests, finished.failed), (4990, 10))

    def test_wrk_is_read_from_the_line_of_our_script(self) -> None:
        finished = parse_wrk(WRK, "wrk")
        self.assertEqual((finished.requests, finished.failed, finished.p50_us, finished.p99_us), (41911, 2, 858, 8006))

    def test_silence_is_an_error(self) -> None:
        for parse in (parse_h2load, parse_wrk):
            with self.assertRaises(MeasureError):
                parse("unable to connect", "a command")

    def test_s_time_must_have_made_the_kind_of_handshake_that_was_asked_for(self) -> None:
        self.assertEqual(parse_s_time(S_TIME_NEW, reuse=False), 4)
        self.assertEqual(parse_s_time(S_TIME_NEW.replace("tttt", "rrrr"), reuse=True), 4)
        with self.assertRaises(MeasureError):
            parse_s_time(S_TIME_NEW, reuse=True)
        with self.assertRaises(MeasureError):
            parse_s_time(S_TIME_NEW.replace("tttt", "rrrr"), reuse=False)

    def test_paced_processes_send_one_request_a_millisecond_each(self) -> None:
        self.assertEqual(Paced(1, 5000).shape(), (5, 13))
        self.assertEqual(Paced(1, 2000).shape(), (2, 32))
        self.assertEqual(Paced(1, 500).shape(), (1, 64))

    def test_a_command_is_shown_without_paths_and_usual_headers(self) -> None:
        command = [
            "/usr/bin/wrk",
            "-s",
            "/tmp/x/report.lua",
            "-H",
            "Accept: */*",
            "-H",
            "Connection: close",
            "http://127.0.0.1:80/body/1m",
        ]
        self.assertEqual(shown(command), "wrk -s report.lua -H 'Connection: close' http://127.0.0.1:PORT/body/1m")
        self.assertEqual(shown(["h2load", "--log-file=/tmp/x/y"]), "h2load --log-file=y")


class Figures(unittest.TestCase):
    def test_percentiles_are_values_that_occurred(self) -> None:
        hundred = [float(value) for value in range(1, 101)]
        self.assertEqual([percentile(hundred, part) for part in (0, 50, 99, 100)], [1, 50, 99, 100])
        self.assertEqual(percentile([7.0], 50), 7)
        self.assertIsNone(percentile([], 50))

    def test_a_spread_of_nothing_is_nothing(self) -> None:
        self.assertIsNone(spread([]))
        self.assertEqual(spread([3, 1, 2]), {"median": 2, "min": 1, "max": 3, "n": 3})

    def test_ratios_pair_undisturbed_samples_of_one_round(self) -> None:
        base = [sample(0, 10), sample(1, 20), sample(2, 40, undisturbed=False)]
        ours = [sample(0, 5), sample(1, 15), sample(2, 1)]
        entry = summarise({"haproxy": base, "tollgate": ours}, "cpu_us", "haproxy")["tollgate"]
        self.assertEqual(entry["ratio"], {"median": 0.625, "min": 0.5, "max": 0.75, "n": 2})
        self.assertEqual(entry["value"], {"median": 5, "min": 1, "max": 15, "n": 3})
        self.assertEqual(difference(ours, base, "cpu_us"), {"median": -5, "min": -5, "max": -5, "n": 2})

    def test_disturbed_samples_alone_are_named_so(self) -> None:
        entry = summarise({"tollgate": [sample(0, 5, undisturbed=False)]}, "cpu_us")["tollgate"]
        self.assertIsNone(entry["value"])
        self.assertEqual(entry["disturbed"], {"median": 5, "min": 5, "max": 5, "n": 1})

    def test_the_machine_is_busy_with_all_but_idle_iowait_and_steal(self) -> None:
        time = machine_time("cpu  100 1 50 9999 77 2 3 40 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
        self.assertAlmostEqual(time.busy, 1.56)
        self.assertAlmostEqual(time.stolen, 0.4)

    def test_callgrind_total(self) -> None:
        self.assertEqual(parse_total("events: Ir\nfn=(1) main\n1 5\ntotals: 2169435\n"), 2169435)
        with self.assertRaises(MeasureError):
            parse_total("events: Ir\n")


class Shapes(unittest.TestCase):
    def test_the_request_is_as_long_as_a_browsers(self) -> None:
        self.assertAlmostEqual(len(request_bytes("/", "127.0.0.1:12345")), 690, delta=15)

    def test_cells_have_names_of_their_own(self) -> None:
        self.assertEqual(len({cell.name for cell in CELLS}), len(CELLS))

    def test_every_measurement_has_a_table(self) -> None:
        there = next(action for action in _parser()._actions if action.choices)
        self.assertEqual(set(there.choices or ()) - {"plot", "tables", "selftest"}, set(TABLES))

    def test_the_twelve_plugins_of_the_start_are_in_the_repository(self) -> None:
        plugins = {path.name for path in (Path(__file__).resolve().parents[3] / "plugins").iterdir() if path.is_dir()}
        self.assertLessEqual({*BALANCERS, "acl", "headers", "ip-acl", "request-id", "rewrite"}, plugins)

    def test_configurations_say_what_their_mode_is(self) -> None:
        folder = Path("/nowhere")
        texts = {mode: configuration(Setting(mode, 80, (81, 82), folder)) for mode in ("plain", "filters", "tcp", "tls")}
        self.assertIn('protocol "tcp"', texts["tcp"])
        self.assertIn("acl", texts["filters"])
        self.assertIn("tls {", texts["tls"])
        self.assertNotIn("filters", texts["plain"])

    def test_cores_know_when_they_are_shared(self) -> None:
        self.assertFalse(Cores(frozenset({0}), frozenset({1})).shared)
        self.assertTrue(Cores(frozenset({0, 1}), frozenset({0, 1})).shared)

    def test_a_group_without_groups_is_one_line(self) -> None:
        document = {"a": {"b": [1, 2], "c": {"d": "}"}}, "e": [], "f": [{"g": 1}]}
        text = _text(document)
        self.assertEqual(json.loads(text), document)
        self.assertIn('"b": [ 1, 2 ]', text)

    def test_no_data_gives_no_tables(self) -> None:
        self.assertEqual(all_tables(Path("/nowhere")), "")


if __name__ == "__main__":
    unittest.main()
