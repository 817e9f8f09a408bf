"""Run with `python3 -m unittest discover -s tools/bench -p '*_test.py'`."""

import json
import unittest

from figures import (
    Goal,
    Line,
    Row,
    best_peer,
    from_dict,
    measured,
    median,
    met,
    of_limit,
    times_better,
    to_dict,
)


def line(baozi: float | str, **given) -> Line:
    return Line("what", "unit", baozi, **given)


class FiguresTest(unittest.TestCase):
    def test_median_of_rounds_is_not_moved_by_one_bad_round(self) -> None:
        self.assertEqual(median([10, 900, 11]), 11)
        self.assertEqual(median([1, 3]), 2)
        self.assertEqual(measured([], "it is not there"), "not run: it is not there")

    def test_best_peer_depends_on_what_is_better_and_skips_who_did_not_run(self) -> None:
        peers: dict[str, float | str] = {"a": 5, "b": 9, "c": "not run: no c"}
        self.assertEqual(best_peer(line(1, peers=peers)), ("b", 9))
        self.assertEqual(best_peer(line(1, peers=peers, higher_is_better=False)), ("a", 5))
        self.assertIsNone(best_peer(line(1, peers={"c": "not run: no c"})))

    def test_times_better_is_above_one_when_ahead_in_either_direction(self) -> None:
        self.assertEqual(times_better(line(20, peers={"a": 5})), 4)
        self.assertEqual(times_better(line(5, peers={"a": 20}, higher_is_better=False)), 4)
        self.assertEqual(times_better(line(40, peers={"a": 20}, higher_is_better=False)), 0.5)

    def test_ahead_means_ahead_of_the_best(self) -> None:
        ahead = Goal("ahead")
        self.assertIs(met(line(6, peers={"a": 5, "b": 7}, goal=ahead)), False)
        self.assertIs(met(line(8, peers={"a": 5, "b": 7}, goal=ahead)), True)
        self.assertIs(met(line(7, peers={"a": 5, "b": 7}, goal=ahead)), False)
        self.assertIsNone(met(line(8, peers={"a": "not run: gone"}, goal=ahead)))

    def test_goals_of_values_and_of_the_limit(self) -> None:
        self.assertIs(met(line(55_000, goal=Goal("at_least", 55_000))), True)
        self.assertIs(met(line(21, goal=Goal("at_most", 20))), False)
        self.assertIs(met(line(97, limit=100.0, goal=Goal("of_limit", 0.97))), True)
        self.assertIs(met(line(96, limit=100.0, goal=Goal("of_limit", 0.97))), False)
        lower = line(131, limit=100.0, higher_is_better=False, goal=Goal("of_limit", 1.3))
        self.assertIs(met(lower), False)
        self.assertAlmostEqual(of_limit(lower) or 0, 1.31)

    def test_goals_of_the_peer_are_reached_from_the_side_that_is_better(self) -> None:
        goal = Goal("of_peer", 0.7)
        self.assertIs(met(line(69, peers={"a": 100}, higher_is_better=False, goal=goal)), True)
        self.assertIs(met(line(71, peers={"a": 100}, higher_is_better=False, goal=goal)), False)
        self.assertIs(met(line(71, peers={"a": 100, "b": 9}, goal=goal)), True)
        self.assertIsNone(met(line(71, peers={"a": "not run: gone"}, goal=goal)))

    def test_nothing_is_met_without_a_figure_or_a_limit(self) -> None:
        self.assertIsNone(met(line("not run: no baozi", goal=Goal("at_most", 20))))
        self.assertIsNone(met(line(1, limit="not run: none", goal=Goal("of_limit", 1))))
        self.assertIsNone(met(line(1)))

    def test_a_row_comes_back_from_json_as_it_was(self) -> None:
        row = Row("key", "Title", "method", "2026-01-02 03:04 UTC", 1.5,
                  [line(2, peers={"a": 1, "b": "not run: gone"}, goal=Goal("ahead")), line(3)],
                  ["note"])
        plain = json.loads(json.dumps(to_dict(row)))
        self.assertIs(plain["lines"][0]["met"], True)
        self.assertEqual(plain["lines"][0]["times_better"], 2)
        self.assertEqual(from_dict(plain), row)


if __name__ == "__main__":
    unittest.main()
