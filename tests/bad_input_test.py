"""What callers can get wrong, and what each gets: a precise error, never a 500, and no leak."""

import io
import json
import os
import struct
import time
import zlib

import harness

PNG = b"\x89PNG\r\n\x1a\n"


def tensor(data, shape=(1, 4), datatype="FP32", name="input"):
    return {"inputs": [{"name": name, "shape": list(shape), "datatype": datatype, "data": data}]}


def binary_request(payload, claimed, shape=(1, 4), datatype="FP32", name="input"):
    header = json.dumps({"inputs": [{
        "name": name, "shape": list(shape), "datatype": datatype,
        "parameters": {"binary_data_size": claimed}}]}).encode()
    return header + payload, {"Inference-Header-Content-Length": str(len(header))}


def picture_request(content):
    payload = struct.pack("<I", len(content)) + content
    return binary_request(payload, len(payload), (1,), "BYTES", "image")


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(
        ">I", zlib.crc32(kind + content))


def png_bomb(side=60_000):
    """A few kilobytes that claim side² pixels."""
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20), 9)
    return PNG + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


class BadInputTest(harness.ServerTest):
    config = {
        # What prepares in the background would be taken for a leak.
        "prepared": {"folder": "off"},
        "http": {"body_bytes_max": 4_000_000, "head_timeout_ms": 700},
        "models": [
            {"path": harness.model("noop")},
            {"path": harness.model("not_finite")},
            {"path": harness.model("identity_string")},
            {"path": harness.model("identity_bool")},
            {"path": harness.model("efficientnet_lite0"),
             "labels": harness.model("efficientnet_lite0") + "/labels.txt"},
        ],
        "pipelines": [{"type": "classify", "options": {"model": "efficientnet_lite0"}}],
    }

    def infer(self, body, headers=None, model="noop"):
        return self.server.post(f"/v2/models/{model}/infer", body, headers)

    def tearDown(self):
        self.assertIsNone(self.server.process.poll(), "the server goes on")
        good = self.infer(tensor([1, 2, 3, 4]))
        self.assertEqual(good.body["outputs"][0]["data"], [1.0, 2.0, 3.0, 4.0])

    def test_json_faults(self):
        for body, words in (
            (b"", ()),
            (b"steam", ()),
            (b"[]", ("object",)),
            (b'{"inputs":', ()),
            (b'{"inputs": []}', ("input",)),
            (b"{}", ("inputs",)),
            (b'{"inputs": {}}', ("inputs",)),
            (b'{"inputs": [1]}', ("inputs",)),
            (b'{"inputs": []} trailing', ()),
            (b"\xff\xfe", ()),
            (b'{"id": 7, "inputs": []}', ("id",)),
            (b"[" * 100_000, ()),
            (b'{"inputs":' * 10_000, ()),
        ):
            with self.subTest(body=body[:40]):
                self.error_of(self.infer(body), 400, *words)

    def test_tensor_faults(self):
        for body, words in (
            (tensor([1, 2, 3, 4], name="other"), ("other", "input")),
            (tensor([1, 2, 3, 4], datatype="INT32"), ("INT32", "FP32")),
            (tensor([1, 2, 3, 4], datatype="FLOAT"), ("FLOAT",)),
            (tensor([1, 2, 3], shape=(1, 3)), ("3",)),
            (tensor([1, 2, 3]), ("3", "4")),
            (tensor([1, 2, 3, 4, 5]), ("4",)),
            (tensor(["a", "b", "c", "d"]), ("input",)),
            (tensor([1, 2, 3, None]), ("input",)),
            (tensor([[1, 2], [3]]), ()),
            (tensor([], shape=(-1, 4)), ("shape",)),
            (tensor([], shape=(1 << 40, 1 << 40)), ("shape",)),
            (tensor([1], shape=(1 << 40, 4)), ()),
            ({"inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32"}]}, ("data",)),
            ({"inputs": tensor([1, 2, 3, 4])["inputs"] * 2}, ("twice",)),
        ):
            with self.subTest(body=str(body)[:100]):
                self.error_of(self.infer(body), 400, *words)

    def test_numbers_outside_their_type(self):
        for datatype, value in (("UINT8", 256), ("UINT8", -1), ("INT8", 128), ("INT64", 2**63),
                                ("FP32", 1e39)):
            with self.subTest(datatype=datatype, value=value):
                self.error_of(self.infer(tensor([value, 0, 0, 0], datatype=datatype)), 400)

    def test_binary_faults(self):
        good = struct.pack("<4f", 1, 2, 3, 4)
        for request, words in (
            (binary_request(good[:8], 8), ("8", "16")),
            (binary_request(good[:8], 16), ("16", "8")),
            (binary_request(good + b"more", 16), ("16",)),
            (binary_request(good, 1 << 62), ("bytes",)),
            ((good, {"Inference-Header-Content-Length": "1000"}), ("1000",)),
            ((good, {"Inference-Header-Content-Length": "-3"}), ("Inference-Header",)),
            ((good[:7], {"Inference-Header-Content-Length": "0"}), ("7",)),
        ):
            with self.subTest(request=str(request)[:100]):
                self.error_of(self.infer(*request), 400, *words)
        short = binary_request(struct.pack("<I", 100) + b"abc", 7, (1, 1), "BYTES")
        self.error_of(self.infer(*short, model="identity_string"), 400, "input")
        two = binary_request(b"\x02\x00\x01", 3, (1, 3), "BOOL")
        self.error_of(self.infer(*two, model="identity_bool"), 400, "input")

    def test_not_a_number(self):
        answer = self.infer(tensor([-1, 0, 1, 1]), model="not_finite")
        self.error_of(answer, 400, "output", "binary")
        self.error_of(self.infer(b'{"inputs":[{"name":"input","shape":[1,4],"datatype":"FP32",'
                                 b'"data":[NaN,1,2,3]}]}'), 400)
        body = tensor([1, 2, 3, 4]) | {"parameters": {"timeout": -1}}
        self.error_of(self.infer(body), 400, "timeout")

    def test_unknown_places(self):
        good = tensor([1, 2, 3, 4])
        self.error_of(self.server.post("/v2/models/nobody/infer", good), 404, "nobody", "noop")
        self.error_of(self.server.post("/v2/models/noop/versions/9/infer", good), 404, "9")
        self.error_of(self.server.get("/v2/nothing"), 404, "/v2/nothing", "/v2/health/live")
        self.error_of(self.server.get("/v2/models/%zz"), 400, "%")
        answer = self.server.get("/v2/models/noop/infer")
        self.error_of(answer, 405)
        self.assertEqual(answer.headers["Allow"], "POST")
        self.error_of(self.server.get("/v2/trace?seconds=x"), 400, "seconds")

    def test_pictures(self):
        whole = (harness.DATA / "china.jpg").read_bytes()
        png = (harness.DATA / "coffee.png").read_bytes()
        self.assertEqual(self.infer(*picture_request(whole), model="classify").status, 200)
        for name, content in (
            ("truncated JPEG", whole[:len(whole) // 2]), ("JPEG's head only", whole[:300]),
            ("truncated PNG", png[:len(png) // 2]), ("PNG bomb", png_bomb()), ("empty", b""),
            ("no picture", b"steam" * 100), ("GIF", b"GIF89a" + bytes(50)),
        ):
            with self.subTest(name):
                start = time.monotonic()
                answer = self.infer(*picture_request(content), model="classify")
                self.error_of(answer, 400)
                self.assertLess(time.monotonic() - start, 5 * harness.SLOWNESS)

    def test_an_encoded_body_is_refused(self):
        answer = self.infer(b"\x1f\x8b", {"Content-Encoding": "gzip"})
        self.error_of(answer, 400, "gzip")

    def test_an_oversized_body(self):
        declared = self.raw(b"POST /v2/models/noop/infer HTTP/1.1\r\nHost: x\r\n"
                            b"Content-Length: 4000001\r\n\r\n")
        self.assertEqual(declared.split(b" ", 2)[1], b"413", declared)
        self.assertIn(b'{"error":', declared)
        self.assertIn(b"4000000", declared)
        chunked = self.raw(b"POST /v2/models/noop/infer HTTP/1.1\r\nHost: x\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n" +
                           (b"100000\r\n" + bytes(1 << 20) + b"\r\n") * 5)
        self.assertEqual(chunked.split(b" ", 2)[1], b"413", chunked)

    def test_a_slow_client(self):
        start = time.monotonic()
        answer = self.raw(b"POST /v2/models/noop/infer HTTP/1.1\r\nHost:")
        self.assertEqual(answer.split(b" ", 2)[1], b"408", answer)
        self.assertIn(b'{"error":', answer)
        self.assertGreater(time.monotonic() - start, 0.6)

    def test_no_http(self):
        for text in (b"steam\r\n\r\n", b"GET /health HTTP/9.9\r\n\r\n", b"GET  /x HTTP/1.1\r\n\r\n",
                     b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n"):
            with self.subTest(text=text):
                self.assertRegex(self.raw(text), rb"^HTTP/1\.1 (400|505) ")
        long = self.raw(b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n")
        self.assertRegex(long, rb"^HTTP/1\.1 431 ")

    def raw(self, request):
        """All that the server sends until it closes the connection."""
        with self.server.socket() as connection:
            try:
                connection.sendall(request)
            except OSError:
                pass  # it may answer and close before it has read everything
            answer = io.BytesIO()
            try:
                while part := connection.recv(65536):
                    answer.write(part)
            except ConnectionError:
                pass
            return answer.getvalue()

    def test_memory_stays_where_it_was(self):
        whole = (harness.DATA / "flower.jpg").read_bytes()
        kinds = [
            ("noop", b'{"inputs":', {}),
            ("noop", json.dumps(tensor([1] * 4000, shape=(1000, 3))).encode(), {}),
            ("nobody", b"{}", {}),
            ("noop", *binary_request(bytes(60_000), 60_000)),
            ("classify", *picture_request(whole[:5000])),
            ("classify", *picture_request(png_bomb())),
        ]

        def send(count):
            connection = self.server.connect()
            for index in range(count):
                name, body, headers = kinds[index % len(kinds)]
                connection.request("POST", f"/v2/models/{name}/infer", body, headers)
                response = connection.getresponse()
                response.read()
                self.assertIn(response.status, (400, 404))
            connection.close()

        send(600)  # pools and allocators have what they need
        before = self.server.rss()
        send(3000)
        grown = self.server.rss() - before
        # A sanitizer's own notes grow, too.
        limit = 16_000_000 if os.environ.get("BAOZI_SANITIZED") == "1" else 4_000_000
        self.assertLess(grown, limit, f"{before} bytes resident before, {grown} more after")


if __name__ == "__main__":
    harness.main()
