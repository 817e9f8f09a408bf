#!/usr/bin/env python3
"""Starts a baozi server, sends it real requests over HTTP, shows the answers and checks them.

    demo.py --baozi PATH --config FILE [--data DIR]

Reads a photographed page, classifies two photographs, compares three sentences, talks to a
language model; prints the stage timeline of the first three. Exit code 0 only when every answer is
right and the server ends cleanly on SIGTERM. Standard library only.
"""

import argparse
import base64
import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from talk import KNOWN_MIN, QUESTIONS, TalkFailure, ask
from timeline import draw

HOST = "127.0.0.1"
READY_SECONDS_MAX = 120
STOP_SECONDS_MAX = 30
REQUEST_SECONDS_MAX = 60

PAGE = "page.png"
PAGE_PHRASES = (
    "region-based segmentation",
    "first determine markers of the coins",
    "pixels that we can label",
    "histogram of grey values",
)
PHOTOGRAPHS = {"coffee.png": "espresso", "china.jpg": "palace"}
SENTENCES = (
    "A man is eating food.",
    "Someone is having a meal.",
    "The stock market fell sharply today.",
)
ALIKE_MIN, DIFFERENT_MAX = 0.55, 0.25


class DemoFailure(Exception):
    """Something is not as it should be; the message is for the person who runs the demo."""


class Answer(NamedTuple):
    body: dict[str, Any]
    milliseconds: float

    def output(self, name: str) -> list[Any]:
        """A KServe output's elements, flat."""
        for tensor in self.body.get("outputs", []):
            if tensor.get("name") == name:
                return flatten(tensor["data"])
        names = [tensor.get("name") for tensor in self.body.get("outputs", [])]
        raise DemoFailure(f"the answer has no output '{name}'; it has {names}")

    def timeline(self) -> list[dict[str, Any]]:
        stages = self.body.get("parameters", {}).get("timeline")
        if isinstance(stages, str):  # KServe parameters are scalars: the list may come as text
            stages = json.loads(stages)
        if not stages:
            raise DemoFailure("the answer carries no 'timeline' parameter though it was asked for")
        return stages


def flatten(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    return [leaf for item in value for leaf in flatten(item)]


class Terminal:
    """Colours on a terminal, plain text elsewhere."""

    def __init__(self) -> None:
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured else text

    def heading(self, text: str) -> None:
        print("\n" + self.paint("1;36", text), flush=True)

    def good(self, text: str) -> None:
        print(f"  {self.paint('32', 'ok')}  {text}", flush=True)


class Server:
    """The server's process; its output goes to a file that is shown when something fails."""

    def __init__(self, baozi: Path, config: Path) -> None:
        self.port = free_port()
        self.log = tempfile.TemporaryFile("w+")
        command = [str(baozi), "serve", str(config), "--host", HOST, "--http-port", str(self.port)]
        print("$ " + " ".join(command), flush=True)
        self.start = time.monotonic()
        try:
            self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT)
        except OSError as error:
            raise DemoFailure(
                f"cannot start {baozi}: {error.strerror}. Build it with `make build`."
            )

    def seconds(self) -> float:
        return time.monotonic() - self.start

    def wait_ready(self) -> float:
        """Seconds from the start of the process until /health says `ready`."""
        state = "no connection"
        while self.seconds() < READY_SECONDS_MAX:
            code = self.process.poll()
            if code is not None:
                raise DemoFailure(f"the server ended with exit code {code} before it was ready")
            state = self.health()
            if state == "ready":
                return self.seconds()
            time.sleep(0.01)
        raise DemoFailure(f"not ready after {READY_SECONDS_MAX} s; /health says: {state}")

    def health(self) -> str:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/health")
            text = connection.getresponse().read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return "no connection"
        finally:
            connection.close()
        try:
            value = json.loads(text)
        except ValueError:
            return text.strip()
        return str(value.get("status", value)) if isinstance(value, dict) else str(value)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise DemoFailure(f"the server still ran {STOP_SECONDS_MAX} s after SIGTERM") from None
        if code != 0:
            raise DemoFailure(f"the server ended with exit code {code} on SIGTERM; 0 was expected")

    def end(self) -> None:
        """Whatever happened, leave no process behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def last_output(self, lines: int = 30) -> str:
        self.log.seek(0)
        return "".join(self.log.readlines()[-lines:])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Client:
    """One kept-alive connection, as an ordinary client would hold it."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection(HOST, port, timeout=REQUEST_SECONDS_MAX)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        start = time.monotonic()
        try:
            self.connection.request("POST", path, body, headers)
            response = self.connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise DemoFailure(f"POST {path}: {type(error).__name__}: {error}") from error
        milliseconds = (time.monotonic() - start) * 1e3
        text = content.decode("utf-8", "replace")
        if response.status != 200:
            raise DemoFailure(f"POST {path}: HTTP {response.status}: {text[:500]}")
        try:
            return Answer(json.loads(text), milliseconds)
        except ValueError as error:
            raise DemoFailure(f"POST {path}: the answer is not JSON: {text[:200]}") from error

    def infer_bytes(self, model: str, name: str, content: bytes) -> Answer:
        """KServe v2 with the binary tensor extension: the file travels as it is."""
        tensor = struct.pack("<I", len(content)) + content
        parameters = {"binary_data_size": len(tensor)}
        described = {"name": name, "shape": [1], "datatype": "BYTES", "parameters": parameters}
        header = json.dumps({"parameters": {"timeline": True}, "inputs": [described]}).encode()
        headers = {
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(len(header)),
        }
        return self.post(f"/v2/models/{model}/infer", header + tensor, headers)

    def infer_texts(self, model: str, name: str, texts: tuple[str, ...]) -> Answer:
        """KServe v2 in JSON alone."""
        tensor = {"name": name, "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
        body = json.dumps({"parameters": {"timeline": True}, "inputs": [tensor]}).encode()
        return self.post(f"/v2/models/{model}/infer", body, {"Content-Type": "application/json"})

    def predict_bytes(self, model: str, content: bytes) -> Answer:
        """TensorFlow Serving's REST, an instance a picture."""
        instance = {"b64": base64.b64encode(content).decode()}
        body = json.dumps({"instances": [instance]}).encode()
        path = f"/v1/models/{model}:predict"
        return self.post(path, body, {"Content-Type": "application/json"})


def squeeze(text: str) -> str:
    """Letters and digits only: how a recogniser spaces its words does not matter here."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def show_picture(data: Path, name: str) -> bytes:
    path = data / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DemoFailure(
            f"{path}: {error.strerror}. Run tools/models/prepare.py first."
        ) from error
    print(f"  {path} ({len(content) / 1e3:.0f} kB)")
    return content


def show_timeline(terminal: Terminal, answer: Answer) -> None:
    print(f"  answered in {answer.milliseconds:.1f} ms")
    for line in draw(answer.timeline()):
        print("    " + terminal.paint("2", line))


def read_page(terminal: Terminal, client: Client, data: Path) -> None:
    terminal.heading("Read the text of a photographed page (KServe v2, binary tensor)")
    answer = client.infer_bytes("ocr", "image", show_picture(data, PAGE))
    texts, scores, boxes = (answer.output(name) for name in ("text", "score", "box"))
    if len(scores) != len(texts) or len(boxes) != 8 * len(texts):
        raise DemoFailure(
            f"ocr: {len(texts)} texts need as many scores and 8 box numbers each, "
            f"not {len(scores)} and {len(boxes)}"
        )
    for index, (text, score) in enumerate(zip(texts, scores)):
        x, y = boxes[8 * index : 8 * index + 2]
        print(f"    {score:.2f}  ({x:3.0f},{y:3.0f})  {text}")
    show_timeline(terminal, answer)
    read = squeeze("".join(texts))
    missing = [phrase for phrase in PAGE_PHRASES if squeeze(phrase) not in read]
    if missing:
        raise DemoFailure(f"ocr: not read on {PAGE}: {missing}")
    terminal.good(f"{len(texts)} lines, all {len(PAGE_PHRASES)} expected phrases among them")


def classify(terminal: Terminal, client: Client, data: Path) -> None:
    for name, expected in PHOTOGRAPHS.items():
        terminal.heading(f"What is in {name}? (KServe v2, then TensorFlow Serving's REST)")
        content = show_picture(data, name)
        answer = client.infer_bytes("classify", "image", content)
        labels, scores, classes = (answer.output(part) for part in ("label", "score", "class"))
        for label, score, number in zip(labels, scores, classes):
            print(f"    {100 * score:5.1f} %  {label} (class {number})")
        show_timeline(terminal, answer)
        if not labels or labels[0] != expected:
            raise DemoFailure(f"classify: {name} shows '{expected}', not '{(labels or ['?'])[0]}'")
        again = client.predict_bytes("classify", content)
        rows = again.body.get("predictions")
        first = rows[0] if isinstance(rows, list) and rows else {}
        predicted = flatten(first.get("label")) if isinstance(first, dict) else [first]
        if predicted[0] != expected:
            raise DemoFailure(
                f"classify: TensorFlow Serving's REST answered {str(again.body)[:300]}"
            )
        terminal.good(f"{labels[0]}, by both protocols (the second in {again.milliseconds:.1f} ms)")


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other))


def compare_sentences(terminal: Terminal, client: Client, _: Path) -> None:
    terminal.heading("How alike are three sentences? (KServe v2, JSON)")
    answer = client.infer_texts("embed", "text", SENTENCES)
    numbers = answer.output("embedding")
    size = len(numbers) // len(SENTENCES)
    if size != 384 or len(numbers) != size * len(SENTENCES):
        raise DemoFailure(f"embed: {len(numbers)} numbers are not {len(SENTENCES)} × 384")
    vectors = [numbers[size * row : size * (row + 1)] for row in range(len(SENTENCES))]
    table = [[cosine(one, other) for other in vectors] for one in vectors]
    for row, sentence in enumerate(SENTENCES):
        cells = " ".join(f"{value:6.3f}" for value in table[row])
        print(f"    [{row + 1}] {cells}   {sentence}")
    show_timeline(terminal, answer)
    if any(abs(table[row][row] - 1) > 1e-3 for row in range(len(SENTENCES))):
        raise DemoFailure("embed: an embedding's length is not 1")
    if table[0][1] < ALIKE_MIN or max(table[0][2], table[1][2]) > DIFFERENT_MAX:
        raise DemoFailure("embed: sentences 1 and 2 must be alike, and 3 unlike both")
    terminal.good("1 and 2 mean much the same, 3 is about something else")


def talk_to_the_cook(terminal: Terminal, client: Client, _: Path) -> None:
    terminal.heading("Two guests ask the cook (OpenAI's chat completions, streamed)")
    talks = []
    for question, word in QUESTIONS:
        print(f"    {terminal.paint('1', question)} ", end="", flush=True)
        try:
            talk = ask(client.connection, "smollm2", question,
                       lambda text: print(text, end="", flush=True))
        except (TalkFailure, OSError, http.client.HTTPException) as error:
            raise DemoFailure(f"chat: {error}") from error
        print(f"\n      first word after {talk.first_ms:.0f} ms; of {talk.usage['prompt_tokens']} "
              f"tokens {talk.known} were known")
        if word not in talk.text.lower():
            raise DemoFailure(f"chat: the answer should say '{word}'")
        talks.append(talk)
    second = talks[1]
    if second.known < KNOWN_MIN * second.usage["prompt_tokens"]:
        raise DemoFailure("chat: the second guest's prompt should have been known but for its end")
    terminal.good("the second guest's answer began at once: what the cook was told is read once")


STEPS: tuple[Callable[[Terminal, Client, Path], None], ...] = (
    read_page,
    classify,
    compare_sentences,
    talk_to_the_cook,
)


def run(server: Server, terminal: Terminal, data: Path) -> None:
    print(f"  ready after {server.wait_ready() * 1e3:.0f} ms on {HOST}:{server.port}")
    client = Client(server.port)
    for step in STEPS:
        step(terminal, client, data)
    client.connection.close()
    terminal.heading("Stop the server (SIGTERM)")
    start = time.monotonic()
    server.stop()
    terminal.good(f"it ended with exit code 0 after {(time.monotonic() - start) * 1e3:.0f} ms")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--baozi", type=Path, required=True, help="the server's binary")
    parser.add_argument("--config", type=Path, required=True, help="its configuration")
    parser.add_argument("--data", type=Path, help="the pictures (default: CONFIG/../../data)")
    arguments = parser.parse_args()
    data = arguments.data or arguments.config.resolve().parent.parent / "data"
    terminal = Terminal()
    server = None
    try:
        terminal.heading("Start the server")
        server = Server(arguments.baozi, arguments.config)
        run(server, terminal, data)
    except KeyboardInterrupt:
        return 130
    except (DemoFailure, KeyError, TypeError, ValueError) as failure:
        if not isinstance(failure, DemoFailure):
            failure = DemoFailure(f"an answer has another form than expected: {failure!r}")
        print(f"\n{terminal.paint('1;31', 'demo failed')}: {failure}", file=sys.stderr)
        if server and (output := server.last_output()):
            print(f"--- the server's last lines\n{output}", file=sys.stderr)
        return 1
    finally:
        if server:
            server.end()
    print("\nEvery answer is right.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
