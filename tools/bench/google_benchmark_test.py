"""Run with `python3 -m unittest discover -s tools/bench -p '*_test.py'`."""

import unittest

from google_benchmark import Samples, add, pick, split_name


def entry(name: str, time: float, **more) -> dict:
    return {"name": name, "run_type": "iteration", "real_time": time, "cpu_time": 1.0,
            "time_unit": "ns", "iterations": 10, **more}


class GoogleBenchmarkTest(unittest.TestCase):
    def test_names_are_split_before_who_runs_it(self) -> None:
        self.assertEqual(split_name("create_await/baozi"), ("create_await", "baozi"))
        self.assertEqual(split_name("hops/1x2/asio/1/2/real_time"), ("hops/1x2", "asio"))
        self.assertEqual(split_name("wake/tbb/iterations:2000/manual_time"), ("wake", "tbb"))
        self.assertIsNone(split_name("overlap/20/real_time"))
        self.assertIsNone(split_name("baozi"))

    def test_rounds_of_the_same_workload_are_paired_by_who(self) -> None:
        samples: Samples = {}
        for time in (15.0, 17.0):
            add(samples, {"benchmarks": [entry("await/baozi", time),
                                         entry("await/asio/real_time", time * 2)]})
        self.assertEqual(pick(samples, "await", "baozi", "ns", 1), [15, 17])
        self.assertEqual(pick(samples, "await", "asio", "ns", 1), [30, 34])
        self.assertEqual(pick(samples, "await", "tbb", "ns", 1), [])

    def test_times_become_nanoseconds_and_counters_are_scaled(self) -> None:
        samples: Samples = {}
        spawn = entry("spawn/tbb", 12.0, time_per_task=1.2e-7, repetition_index=0)
        add(samples, {"benchmarks": [{**spawn, "time_unit": "ms"}]})
        self.assertEqual(pick(samples, "spawn", "tbb", "ns", 1), [12e6])
        self.assertAlmostEqual(pick(samples, "spawn", "tbb", "time_per_task", 1e9)[0], 120)
        self.assertEqual(pick(samples, "spawn", "tbb", "repetition_index", 1), [])

    def test_aggregates_and_failures_are_left_out(self) -> None:
        samples: Samples = {}
        add(samples, {"benchmarks": [
            {**entry("await/baozi", 1), "run_type": "aggregate"},
            {**entry("await/asio", 1), "error_occurred": True}]})
        self.assertEqual(samples, {})


if __name__ == "__main__":
    unittest.main()
