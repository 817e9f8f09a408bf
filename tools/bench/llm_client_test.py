"""Run with `python3 -m unittest discover -s tools/bench -p '*_test.py'`."""

import http.server
import json
import threading
import unittest
from typing import ClassVar
from unittest import mock

import llm_client
from figures import NotRun
from llm_client import ask_all, ask_one, request, wait_first
from llm_words import WORDS, chat, words
from processes import free_port


class FakeServer(http.server.BaseHTTPRequestHandler):
    """Says each word of the prompt back; busy for the first `refusals` requests."""

    refusals: ClassVar[int] = 0
    status: ClassVar[int] = 503

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if type(self).refusals > 0:
            type(self).refusals -= 1
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(b"loading")
            return
        self.send_response(200)
        self.end_headers()
        said = asked["prompt"].split()[:asked["max_tokens"]]
        for word in said:
            self.event({"choices": [{"text": word}]})
        usage = {"prompt_tokens": len(asked["prompt"].split()), "completion_tokens": len(said)}
        self.event({"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def event(self, content: dict) -> None:
        self.wfile.write(b"data: " + json.dumps(content).encode() + b"\n\n")

    def log_message(self, *args: object) -> None:
        pass


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeServer)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        self.port = server.server_port
        FakeServer.refusals = 0
        self.process = mock.Mock(started=llm_client.time.monotonic())

    def test_streams_at_once_give_all_answers(self) -> None:
        asked = ask_all(self.port, *([request(f"a{s} b{s} c", 2) for _ in range(3)]
                                     for s in range(4)))
        self.assertEqual(sorted(one.text for one in asked.answers),
                         sorted(3 * [f"a{s}b{s}" for s in range(4)]))
        self.assertEqual({one.completion_tokens for one in asked.answers}, {2})

    def test_a_refusal_is_told_with_its_status_and_text(self) -> None:
        FakeServer.refusals, FakeServer.status = 1, 503
        with self.assertRaisesRegex(NotRun, "answered 503: loading"):
            ask_one(self.port, request("a", 1))
        with self.assertRaises(NotRun):
            ask_one(free_port(), request("a", 1))

    def test_a_server_that_loads_is_asked_again(self) -> None:
        FakeServer.refusals, FakeServer.status = 3, 503
        self.assertGreater(wait_first(self.process, self.port, request("a b", 2), 10), 0)
        self.assertEqual(FakeServer.refusals, 0)

    def test_a_server_that_does_not_know_the_path_is_given_up_soon(self) -> None:
        FakeServer.refusals, FakeServer.status = 10**6, 404
        with self.assertRaisesRegex(NotRun, "answered 404"):
            wait_first(self.process, self.port, request("a b", 2), 60)
        self.assertLess(llm_client.time.monotonic() - self.process.started, 10)


class RequestTest(unittest.TestCase):
    def test_text_is_completed_and_messages_are_a_chat(self) -> None:
        self.assertEqual(request("a", 3).path, "/v1/completions")
        asked = request(chat("be brief", "why"), 3)
        self.assertEqual((asked.path, asked.body["messages"][1]["content"]),
                         ("/v1/chat/completions", "why"))
        self.assertTrue(asked.body["ignore_eos"])
        self.assertNotIn("ignore_eos", request("a", 3, exact=False).body)

    def test_prompts_are_as_long_as_asked_and_the_seed_decides_them(self) -> None:
        self.assertEqual(len(words(128, "x").split()), 128)
        self.assertEqual(words(9, "x"), words(9, "x"))
        self.assertNotEqual(words(9, "x"), words(9, "y"))
        self.assertEqual(len(WORDS), len(set(WORDS)))


if __name__ == "__main__":
    unittest.main()
