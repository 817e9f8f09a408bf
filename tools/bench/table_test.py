"""Run with `python3 -m unittest discover -s tools/bench -p '*_test.py'`."""

import unittest

from figures import Goal, Line, Row
from table import number, page, terminal_line

AHEAD = Line("hops", "M/s", 20.0, {"Asio": 8.0, "oneTBB": "not run: no | TBB"}, goal=Goal("ahead"))
SHARE = Line("rows", "rows/s", 96.0, limit_name="bare loop", limit=100.0,
             goal=Goal("of_limit", 0.97))
MISSING = Line("held", "bytes", "not run: no baozi", goal=Goal("at_most", 4096))


class TableTest(unittest.TestCase):
    def test_numbers_keep_about_three_digits(self) -> None:
        self.assertEqual([number(v) for v in (56_312.7, 123.4, 12.34, 1.234, 0.0123, 4096, 0.0)],
                         ["56,313", "123", "12.3", "1.23", "0.012", "4,096", "0"])
        self.assertEqual(number("not run: why"), "not run: why")

    def test_page_has_a_line_a_figure_with_ratio_goal_and_verdict(self) -> None:
        row = Row("key", "Title", "How.", "2026-01-02 03:04 UTC", 3.0, [AHEAD, SHARE, MISSING],
                  ["Seen elsewhere: 5."])
        text = page({"cores": "2"}, [row])
        for wanted in (
            "| cores | 2 |",
            "1 of 3 goals met; 1 figures could not be measured.",
            "## Title\n\nHow.\n\nMeasured 2026-01-02 03:04 UTC, in 3 s.",
            "| hops | M/s | 20 | Asio 8; oneTBB not run | – | 2.50 × Asio |"
            " ahead of each | yes |",
            "| rows | rows/s | 96 | – | 100 (bare loop) | 0.96 of limit | ≥ 0.97 of limit |"
            " **no** |",
            "| held | bytes | not run: no baozi | – | – | – | ≤ 4,096 | not measured |",
            "\n\noneTBB not run: no | TBB.\n\nSeen elsewhere: 5.\n",
        ):
            self.assertIn(wanted, text)

    def test_terminal_line_says_what_there_is_and_no_more(self) -> None:
        self.assertEqual(
            terminal_line(SHARE),
            "rows: 96 rows/s | limit 100 (bare loop) | ratio 0.96 of limit | goal ≥ 0.97 of limit"
            " | met: no")
        self.assertEqual(terminal_line(Line("start", "ms", 5.25)), "start: 5.25 ms")

    def test_a_goal_of_the_peer_has_its_ratio_in_the_same_terms(self) -> None:
        line = Line("gap", "ms", 30.0, {"llama-server": 60.0}, higher_is_better=False,
                    goal=Goal("of_peer", 0.7))
        self.assertEqual(terminal_line(line), "gap: 30 ms | peers llama-server 60 | ratio 0.50 of"
                         " llama-server | goal ≤ 0.70 of the peer | met: yes")


if __name__ == "__main__":
    unittest.main()
