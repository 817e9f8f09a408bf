#!/usr/bin/env python3
"""The two ways to a pipeline of one's own, as a user would go them: baozi is installed to an empty
folder, the examples are built against it with find_package(baozi), run, and asked over HTTP.

    install_test.py --build BUILD --cache CACHE [-D…]     more arguments go to the examples' cmake
"""

import argparse
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
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parent
READY_SECONDS_MAX = 120


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A server on `port`, ended by SIGTERM; its exit code must be 0."""

    def __init__(self, port, *command, environment=None):
        self.port = port
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=self.log, stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})})

    def __enter__(self):
        end = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.ask("GET", "/v2/health/ready")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        self.process.kill()
        self.fail("it is not ready")

    def __exit__(self, kind, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.fail("it does not end on SIGTERM")
        if code != 0 or kind is not None:
            self.fail(f"exit code {code}")

    def fail(self, why):
        self.process.wait()
        self.log.seek(0)
        print(f"{self.process.args}: {why}\n{self.log.read()}", file=sys.stderr)
        if sys.exc_info()[0] is None:
            sys.exit(1)

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def infer(self, model, body, headers=None):
        status, text = self.ask("POST", f"/v2/models/{model}/infer", body, headers)
        assert status == 200, f"{model}: HTTP {status}: {text[:500]}"
        return {output["name"]: output["data"] for output in json.loads(text)["outputs"]}

    def infer_file(self, model, file):
        content = file.read_bytes()
        tensor = struct.pack("<I", len(content)) + content
        head = json.dumps({"inputs": [{
            "name": "image", "shape": [1], "datatype": "BYTES",
            "parameters": {"binary_data_size": len(tensor)}}]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        return self.infer(model, head + tensor, headers)


def build(example, prefix, folder, more):
    run("cmake", "-S", EXAMPLES / example, "-B", folder, "-G", "Ninja",
        f"-DCMAKE_PREFIX_PATH={prefix}", *more)
    run("cmake", "--build", folder)


def check_plugin(prefix, library, config, data):
    port = free_port()
    with Program(port, prefix / "bin/baozi", "serve", config, "--http-port", port,
                 "--plugin", library) as server:
        answer = server.infer_file("describe", data / "coffee.png")
        assert answer == {"description": ["a picture of: espresso"], "by": ["classify"]}, answer
        answer = server.infer_file("describe", data / "page.png")
        assert answer["by"] == ["ocr"], answer
        assert answer["description"][0].startswith("a text: Region"), answer


def check_no_copy(library):
    """The plug-in takes baozi from the program that opens it."""
    needed = subprocess.run(["objdump", "-T", library], capture_output=True, text=True, check=True)
    lines = [line for line in needed.stdout.splitlines() if "get_tensor" in line]
    assert lines and all("*UND*" in line for line in lines), lines


def check_library(program, model, prefix):
    port = free_port()
    engines = next(prefix.glob("lib*/**/libbaozi_engine_onnx.so")).parent
    with Program(port, program, model, port,
                 environment={"BAOZI_ENGINE_PATH": str(engines)}) as server:
        texts = ["A man is eating food.", "Someone is having a meal.", "The stock market fell."]
        body = json.dumps({"inputs": [
            {"name": "text", "shape": [3], "datatype": "BYTES", "data": texts}]})
        cosines = server.infer("similarity", body)["similarity"]
        assert abs(cosines[0] - 1) < 1e-3 and cosines[1] > 0.55 and cosines[2] < 0.3, cosines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    arguments, more = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="baozi-install-") as folder:
        folder = Path(folder)
        prefix = folder / "prefix"
        run("cmake", "--install", arguments.build, "--prefix", prefix)
        for example in ("plugin", "embed_library"):
            build(example, prefix, folder / example, more)
        config = folder / "describe.yaml"
        text = (EXAMPLES / "plugin/describe.yaml").read_text()
        config.write_text(text.replace("../../.cache", str(arguments.cache)))
        library = folder / "plugin/libdescribe.so"
        check_no_copy(library)
        check_plugin(prefix, library, config, arguments.cache / "data")
        model = arguments.cache / "models/minilm"
        check_library(folder / "embed_library/similarity", model, prefix)
    print("ok")


if __name__ == "__main__":
    main()
