"""Run with `python3 -m unittest discover -s tools/bench -p '*_test.py'`."""

import json
import unittest

from llm_events import Answer, EventStream, Refused, answer

EVENTS = [b'{"a": "one"}', b'{"a": "\xc3\xa9 two"}']
SENT = b": a remark\n\n" + b"".join(b"data: " + event + b"\n\n" for event in EVENTS)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def chunked(data: bytes, size: int) -> bytes:
    parts = [data[at:at + size] for at in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


def text_event(piece: str) -> bytes:
    return json.dumps({"choices": [{"text": piece}]}).encode()


USAGE = b'{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}'


class EventStreamTest(unittest.TestCase):
    def test_events_come_whole_however_the_bytes_are_cut(self) -> None:
        message = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(SENT, 7)
        for cut in range(1, len(message)):
            stream = EventStream()
            found = stream.feed(message[:cut]) + stream.feed(message[cut:])
            self.assertEqual((found, stream.status, stream.finished), (EVENTS, 200, True))

    def test_done_ends_a_stream_that_is_not_chunked(self) -> None:
        stream = EventStream()
        self.assertEqual(stream.feed(HEAD + b"\r\n" + SENT), EVENTS)
        self.assertFalse(stream.finished)
        self.assertEqual(stream.feed(b"data: [DONE]\n\n"), [])
        self.assertTrue(stream.finished)

    def test_an_error_keeps_its_text(self) -> None:
        stream = EventStream()
        self.assertEqual(stream.feed(b"HTTP/1.1 503 Wait\r\nContent-Length: 7\r\n\r\nloading"), [])
        self.assertEqual((stream.status, stream.body), (503, b"loading"))

    def test_a_head_without_an_end_is_refused(self) -> None:
        with self.assertRaisesRegex(Refused, "without an end"):
            EventStream().feed(b"x" * 70_000)


class AnswerTest(unittest.TestCase):
    def test_rates_and_gaps_count_from_the_first_text_on(self) -> None:
        role = b'{"choices": [{"delta": {"role": "assistant", "content": null}}]}'
        got = answer([(0.5, role), (1.0, text_event("a")), (1.5, text_event("b")),
                      (2.0, text_event("")), (2.0, text_event("c")), (2.1, USAGE)], 2.2)
        self.assertEqual((got.text, got.first, got.gaps), ("abc", 1.0, [0.5, 0.5]))
        self.assertEqual(got.tokens_per_second, 2.0)
        self.assertEqual((got.prompt_tokens, got.cached_tokens, got.ended), (9, 0, 2.2))

    def test_chats_are_read_like_completions(self) -> None:
        delta = b'{"choices": [{"delta": {"content": "hi"}}]}'
        cached = USAGE.replace(b'"prompt_tokens": 9',
                               b'"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}')
        self.assertEqual(answer([(1.0, delta), (1.0, cached)], 1.5),
                         Answer("hi", [1.0], 1.5, 9, 4, 3))

    def test_an_answer_without_text_usage_or_success_is_no_figure(self) -> None:
        for events, why in (([(1.0, USAGE)], "without text"),
                            ([(1.0, text_event("a"))], "without usage"),
                            ([(1.0, b'{"error": {"message": "full"}}')], "full")):
            with self.assertRaisesRegex(Refused, why):
                answer(events, 1.0)


if __name__ == "__main__":
    unittest.main()
