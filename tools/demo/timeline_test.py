"""Run with `python3 -m unittest discover -s tools/demo -p '*_test.py'`."""

import unittest

from timeline import WIDTH, draw


def stage(name: str, start: int, end: int, thread: str = "cpu-0") -> dict:
    return {"stage": name, "start_us": start, "end_us": end, "thread": thread}


class TimelineTest(unittest.TestCase):
    def bar(self, line: str) -> str:
        return line.split("|")[1]

    def test_stages_are_drawn_where_they_ran(self) -> None:
        lines = draw([stage("decode", 1000, 2000), stage("run", 2000, 5000, "lane-0")])
        self.assertEqual(self.bar(lines[0]), ("█" * (WIDTH // 4)).ljust(WIDTH))
        self.assertEqual(self.bar(lines[1]), ("█" * (WIDTH * 3 // 4)).rjust(WIDTH))
        self.assertIn("3.00 ms  lane-0", lines[1])

    def test_repeated_stages_share_a_row_with_their_count_and_threads(self) -> None:
        lines = draw([stage("crop", 0, 10, "a"), stage("crop", 90, 100, "b")])
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith("crop ×2 |"))
        self.assertTrue(lines[0].endswith("a, b"))
        self.assertIn(" ", self.bar(lines[0]))

    def test_rows_follow_the_order_of_start_whatever_the_order_of_the_answer(self) -> None:
        lines = draw([stage("late", 50, 60), stage("early", 0, 10)])
        self.assertTrue(lines[0].startswith("early"))

    def test_a_stage_of_no_length_is_still_visible(self) -> None:
        for line in draw([stage("first", 7, 7), stage("second", 7, 7)])[:2]:
            self.assertNotEqual(self.bar(line).strip(), "")

    def test_a_short_stage_at_the_very_end_stays_inside_the_chart(self) -> None:
        lines = draw([stage("long", 0, 10000), stage("last", 9999, 10000)])
        self.assertEqual(len(self.bar(lines[1])), WIDTH)
        self.assertNotEqual(self.bar(lines[1])[-1], " ")


if __name__ == "__main__":
    unittest.main()
