"""The command line: help, `run`, `inspect`, exit statuses, messages that say what to do."""

import fcntl
import json
import os
import pty
import re
import select
import subprocess
import tempfile
import termios
import time
import unittest
import xml.etree.ElementTree
from pathlib import Path

import harness
import yaml

REQUEST = {"inputs": [{"name": "a", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]},
                      {"name": "b", "shape": [1, 4], "datatype": "FP32", "data": [1, 1, 1, 1]}]}


def pipelines(folder):
    """A config file with all built-in pipelines of one model each."""
    path = Path(folder, "baozi.yaml")
    path.write_text(f"""
models:
  - path: {harness.model("efficientnet_lite0")}
    labels: {harness.model("efficientnet_lite0")}/labels.txt
  - path: {harness.model("minilm")}
pipelines:
  - type: classify
    options: {{model: efficientnet_lite0}}
  - type: embed
    options: {{model: minilm}}
""")
    return path


class CommandTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="baozi-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def fails(self, status, words, *arguments):
        done = harness.run(*arguments)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        for word in words:
            self.assertIn(word, done.stderr)


class UsageTest(CommandTest):
    def test_help(self):
        done = harness.run("--help")
        self.assertEqual(done.returncode, 0)
        for word in ("serve", "run", "inspect", "prepare", "Examples:"):
            self.assertIn(word, done.stdout)
        for command, words in (("serve", ("--host", "--http-port", "--plugin", "--name",
                                          "--log-level", "SIGTERM")),
                               ("run", ("--name", "--timeline", "Examples:")),
                               ("inspect", ("--name",))):
            done = harness.run(command, "--help")
            self.assertEqual(done.returncode, 0)
            for word in words:
                self.assertIn(word, done.stdout)

    def test_version(self):
        self.assertRegex(harness.run("--version").stdout, r"^baozi \d+\.\d+\.\d+\n$")

    def test_wrong_usage_is_2(self):
        for arguments in ((), ("steam",), ("serve",), ("serve", "x", "--no-such"),
                          ("serve", "x", "--http-port", "many"), ("run", "x")):
            with self.subTest(arguments):
                done = harness.run(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn("--help", done.stderr)

    def test_what_is_not_there_is_1(self):
        self.fails(1, ("/nowhere.onnx", "does not exist"), "serve", "/nowhere.onnx")
        self.fails(1, ("/nowhere", "does not exist"), "inspect", "/nowhere")
        self.fails(1, ("no model in", "1/model.onnx"), "serve", self.folder)
        self.fails(1, ("--name",), "serve", pipelines(self.folder), "--name", "x")
        self.fails(1, ("loud", "info"), "serve", harness.model("noop"), "--log-level", "loud")


class RunTest(CommandTest):
    def request(self):
        path = self.folder / "request.json"
        path.write_text(json.dumps(REQUEST))
        return path

    def test_a_request_of_json(self):
        done = harness.run("run", harness.model("add_sub"), self.request())
        self.assertEqual(done.returncode, 0, done.stderr)
        outputs = {o["name"]: o["data"] for o in json.loads(done.stdout)["outputs"]}
        self.assertEqual(outputs, {"sum": [2.0, 3.0, 4.0, 5.0], "difference": [0.0, 1.0, 2.0, 3.0]})

    def test_a_bare_file(self):
        done = harness.run("run", harness.model("add_sub") + "/1/model.onnx", self.request())
        self.assertEqual(json.loads(done.stdout)["model_name"], "model")

    def test_a_language_model(self):
        model = harness.model("smollm2")
        exact = ("--temperature", "0", "--max-tokens", "24")
        first = harness.run("run", model, "What is the capital of France?", *exact)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertIn("Paris", first.stdout)
        self.assertNotIn("<|im_end|>", first.stdout)
        again = harness.run("run", model + "/1/model.gguf", "-", *exact,
                            stdin="What is the capital of France?")
        self.assertEqual(again.stdout, first.stdout)
        raw = harness.run("run", model, "The capital of France is", "--raw", *exact)
        self.assertIn("Paris", raw.stdout)
        seeds = [harness.run("run", model, "Tell me a story.", "--max-tokens", "12", "--seed",
                             seed).stdout for seed in ("1", "1", "2")]
        self.assertEqual(seeds[0], seeds[1])
        self.assertNotEqual(seeds[0], seeds[2])

    def test_a_conversation_of_lines(self):
        exact = ("--temperature", "0", "--max-tokens", "24")
        done = harness.run("chat", harness.model("smollm2"), *exact,
                           stdin="What is the capital of France?\n/clear\nWhat is the capital of "
                                 "Japan?\n/help\n/exit\nnot asked\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?s)Paris.*Tokyo.*Ctrl-C")
        long = harness.run("chat", harness.model("smollm2"), "--context", "128", *exact,
                           stdin="word " * 300 + "\nWhat is the capital of France?\n")
        self.assertEqual(long.returncode, 0)
        self.assertIn("/clear", long.stderr)
        self.assertIn("Paris", long.stdout)
        self.fails(1, ("no language model",), "chat", harness.model("noop"))

    def test_a_conversation_in_a_terminal(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        process = subprocess.Popen(
            [harness.BAOZI, "chat", harness.model("smollm2"), "--max-tokens", "4000"],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.addCleanup(process.kill)
        shown = b""

        def read_until(part, what):
            nonlocal shown
            deadline = time.monotonic() + 40 * harness.SLOWNESS
            while part not in shown:
                self.assertLess(time.monotonic(), deadline, f"{what}: {shown}")
                if select.select([master], [], [], 0.2)[0]:
                    shown += os.read(master, 4096)
            shown = shown[shown.index(part) + len(part):]

        read_until(b"> ", "the first prompt")
        os.write(master, b"Write a very long story about a baker, with all details.\n")
        read_until(b"details.", "the echo")
        read_until(b" ", "the beginning of an answer")
        os.write(master, b"\x03")
        read_until("…".encode(), "the end of the stopped answer")
        read_until(b"> ", "the next prompt")
        self.assertIsNone(process.poll())
        os.write(master, b"/help\n")
        read_until(b"Ctrl-C", "the help")
        os.write(master, b"\x04")
        self.assertEqual(process.wait(10 * harness.SLOWNESS), 0)

    def test_language_models_that_are_not(self):
        cut = self.folder / "cut.gguf"
        with open(harness.model("smollm2") + "/1/model.gguf", "rb") as whole:
            cut.write_bytes(whole.read(3 << 20))
        self.fails(1, ("cut.gguf", "cut off"), "run", cut, "Hello")
        (self.folder / "text.gguf").write_text("no model")
        self.fails(1, ("text.gguf", "GGUF"), "run", self.folder / "text.gguf", "Hello")
        self.fails(1, ("shorten",), "run", harness.model("smollm2"), "word " * 300, "--context",
                   "256")
        self.fails(2, ("--temperature",), "run", harness.model("smollm2"), "Hi", "--temperature",
                   "-1")

    def test_a_picture_and_words(self):
        config = pipelines(self.folder)
        picture = harness.run("run", config, "--name", "classify", harness.DATA / "coffee.png",
                              "--timeline")
        self.assertEqual(picture.returncode, 0, picture.stderr)
        outputs = {o["name"]: o["data"] for o in json.loads(picture.stdout)["outputs"]}
        self.assertEqual(outputs["label"][0], "espresso")
        self.assertIn("decode", picture.stderr)
        words = harness.run("run", config, "--name", "embed", "A man is eating food.")
        vector = json.loads(words.stdout)["outputs"][0]["data"]
        self.assertEqual(len(vector), 384)
        self.assertAlmostEqual(sum(value * value for value in vector), 1, places=4)
        piped = harness.run("run", config, "--name", "embed", "-", stdin="A man is eating food.")
        self.assertEqual(json.loads(piped.stdout)["outputs"][0]["data"], vector)

    def test_failures(self):
        config = pipelines(self.folder)
        self.fails(1, ("--name", "classify", "embed"), "run", config, "x.jpg")
        self.fails(1, ("nobody", "classify"), "run", config, "--name", "nobody", "x.jpg")
        self.fails(1, ("missing.json", "does not exist"), "run", harness.model("noop"),
                   "missing.json")
        wrong = self.folder / "wrong.json"
        wrong.write_text('{"inputs": [')
        self.fails(1, ("JSON",), "run", harness.model("add_sub"), wrong)
        not_there = self.folder / "no.jpg"
        not_there.write_text("steam")
        self.fails(1, ("image",), "run", config, "--name", "classify", not_there)


class InspectTest(CommandTest):
    def test_signature_memory_and_engine(self):
        done = harness.run("inspect", harness.model("add_sub"))
        self.assertEqual(done.returncode, 0, done.stderr)
        for pattern in (r"add_sub version 1", r"engine +onnx", r"memory +[\d.]+ MB",
                        r"a +FP32 +\[N, 4\]", r"difference +FP32 +\[N, 4\]", r"batching +yes"):
            self.assertRegex(done.stdout, pattern)

    def test_what_a_path_may_be(self):
        versions = harness.run("inspect", harness.model("two_versions")).stdout
        self.assertIn("two_versions version 1", versions)
        self.assertIn("two_versions version 3", versions)
        one = harness.run("inspect", pipelines(self.folder), "--name", "minilm").stdout
        self.assertIn("input_ids", one)
        self.assertNotIn("efficientnet", one)
        fixed = harness.run("inspect", harness.model("fixed_batch") + "/1/model.onnx").stdout
        self.assertIn("[2, 3]", fixed)
        self.assertRegex(fixed, r"batching +no")
        language = harness.run("inspect", harness.model("smollm2")).stdout
        for part in ("llama 0.5", "KV memory", "49152 words", "8192 tokens", "has a template"):
            self.assertIn(part, language)

    def test_resources_are_enough(self):
        config = self.folder / "resources.yaml"
        config.write_text(yaml.safe_dump({
            "cache": {"bytes_max": 64 << 20},
            "models": [{"path": harness.model("minilm"), "instances": 2, "cache": True},
                       {"path": harness.model("efficientnet_lite0"), "instances": 1},
                       {"path": harness.model("smollm2"), "language": {"context": 1024}}]}))
        done = harness.run("inspect", config, "--resources")
        self.assertEqual(done.returncode, 0, done.stderr)
        resources = yaml.safe_load(done.stdout)["resources"]
        self.assertEqual(resources["requests"]["cpu"], "2")
        memory = resources["requests"]["memory"]
        self.assertEqual(resources["limits"]["memory"], memory)
        self.assertRegex(memory, r"^\d+Mi$")
        server = harness.Server(config)
        self.addCleanup(server.end)
        server.wait_ready()
        tokens = {"inputs": [
            {"name": name, "shape": [4, 64], "datatype": "INT64", "data": [1] * 256}
            for name in ("input_ids", "attention_mask", "token_type_ids")]}
        for _ in range(4):
            self.assertEqual(server.post("/v2/models/minilm/infer", tokens).status, 200)
        wanted = {"prompt": "A bun", "max_tokens": 8}
        self.assertEqual(server.post("/v1/completions", wanted).status, 200)
        if os.environ.get("BAOZI_SANITIZED") != "1":  # sanitizers take memory of their own
            self.assertLess(server.rss(), int(memory[:-2]) << 20)
            self.assertGreater(2.5 * server.rss(), int(memory[:-2]) << 20, "nor far too much")
        self.fails(2, ("--resources", "--name"), "inspect", config, "--resources", "--name",
                   "minilm")

    def test_refused_models(self):
        for path in sorted(harness.HOSTILE.iterdir()):
            if path.name == "absurd_output":
                continue
            with self.subTest(path.name):
                self.fails(1, (path.name,), "inspect", path)
        self.fails(1, ("nobody",), "inspect", harness.model("noop"), "--name", "nobody")


class ColdstartTest(CommandTest):
    def test_the_waterfall_of_a_start(self):
        picture = self.folder / "start.svg"
        done = harness.run("coldstart", harness.model("noop"), "--runs", 3, "--svg", picture)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the median of 3 runs", done.stdout)
        times = {name: float(ms) for name, ms in
                 re.findall(r"^  (listening|ready|first answer) +([\d.]+) ms", done.stdout, re.M)}
        self.assertLess(0, times["listening"])
        self.assertLess(times["listening"], times["ready"])
        self.assertLess(times["listening"], times["first answer"])
        for phase in ("config", "listen", "load noop/1", "first answer"):
            self.assertRegex(done.stdout, rf"(?m)^{phase} .*█.* ms$")
        bars = xml.etree.ElementTree.parse(picture).getroot().findall("{*}rect")
        self.assertGreater(len(bars), 4)

    def test_each_kind_of_model_from_a_cold_disk(self):
        for name in ("minilm", "smollm2"):
            with self.subTest(name):
                done = harness.run("coldstart", harness.model(name), "--runs", 1, "--cold-disk")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("dropped from the page cache", done.stdout)

    def test_what_cannot_start(self):
        self.fails(1, ["does not exist"], "coldstart", self.folder / "nowhere.onnx")
        torn = self.folder / "torn.onnx"
        torn.write_bytes(b"\x08\x07torn")
        self.fails(1, ["torn"], "coldstart", torn)
        self.fails(2, ["--runs"], "coldstart", harness.model("noop"), "--runs", 0)


class ServePathTest(unittest.TestCase):
    def serve(self, path, *arguments):
        server = harness.Server(path, *arguments)
        self.addCleanup(server.end)
        server.wait_ready()
        return [entry["name"] for entry in server.post("/v2/repository/index").body]

    def test_a_file_a_folder_of_versions_a_folder_of_models(self):
        self.assertEqual(self.serve(harness.model("noop") + "/1/model.onnx"), ["model"])
        self.assertEqual(self.serve(harness.model("noop") + "/1/model.onnx", "--name", "bun"),
                         ["bun"])
        self.assertEqual(self.serve(harness.model("two_versions")), ["two_versions"])
        with tempfile.TemporaryDirectory() as folder:
            for name in ("noop", "add_sub"):
                Path(folder, name).symlink_to(harness.model(name))
            self.assertEqual(self.serve(folder), ["add_sub", "noop"])

    def test_a_model_added_to_a_folder_of_models(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "noop").symlink_to(harness.model("noop"))
            server = harness.Server(folder)
            self.addCleanup(server.end)
            server.wait_ready()
            load = "/v2/repository/models/{}/load".format
            self.assertEqual(server.post(load("add_sub")).status, 404)
            Path(folder, "add_sub").symlink_to(harness.model("add_sub"))
            self.assertEqual(server.post(load("add_sub")).status, 200)
            self.assertEqual(server.get("/v2/models/add_sub/ready").status, 200)
            self.assertEqual(server.post("/v2/repository/models/add_sub/unload").status, 200)
            self.assertEqual(server.get("/v2/models/add_sub/ready").status, 503)
            for name in ("..", "%2e%2e", f"..%2F{Path(folder).name}%2Fnoop", "noop%2F1"):
                self.assertEqual(server.post(load(name)).status, 404, name)


if __name__ == "__main__":
    harness.main()
