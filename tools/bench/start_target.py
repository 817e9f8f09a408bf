"""What is started, asked at once and asked correctly: for the rows about a start's time."""

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from figures import NotRun
from kserve_request import size_of
from processes import HOST, Process
from setting import Setting

SECONDS_MAX = 60.0
POLL_SECONDS = 0.0005
SEQUENCE = 32
TOLERANCE = 1e-3
PHOTO = "page.png"
OCR = ("ocr_det", "ocr_cls", "ocr_rec")
TITLES = {"noop": "no-op", "minilm": "MiniLM f32", "minilm_int8": "MiniLM INT8",
          "efficientnet_lite0": "EfficientNet", "resnet50_shaped": "ResNet50-shaped",
          "ocr": "OCR pipeline"}

Answer = list[float] | list[str]


class Started(NamedTuple):
    process: Process
    port: int


class Asked(NamedTuple):
    """The same for everybody, and what a server that nobody hurried answered."""

    path: str
    body: bytes
    headers: dict[str, str]
    answer: Answer


def store(setting: Setting) -> Path:
    """Where what is prepared lies during a run."""
    return setting.out / "coldstart-store"


def config(setting: Setting, target: str, prepared: bool) -> Path:
    lines = [f"prepared: {{folder: '{store(setting) if prepared else 'off'}'}}", "models:"]
    if target == "ocr":
        lines += [f"  - {{path: {setting.model(name)}}}" for name in OCR]
        lines += ["pipelines:", "  - type: ocr",
                  "    options: {detect: ocr_det, orient: ocr_cls, recognise: ocr_rec}"]
    else:
        lines.append(f"  - path: {setting.model(target)}")
    kind = "prepared" if prepared else "unprepared"
    return setting.write(f"coldstart-{target}-{kind}.yaml", "\n".join(lines) + "\n")


def prepare(setting: Setting, target: str) -> None:
    setting.output(setting.program("baozi"), "prepare", config(setting, target, True))


def start(setting: Setting, target: str, prepared: bool) -> Started:
    path = config(setting, target, prepared)
    return Started(*setting.serve(path, path.stem))


def request_of(metadata: dict) -> bytes:
    """One row of JSON."""
    inputs = []
    for spec in metadata["inputs"]:
        shape = [size_of(size, at, SEQUENCE) for at, size in enumerate(spec["shape"])]
        elements = 1
        for size in shape:
            elements *= size
        value = 0.5 if spec["datatype"] == "FP32" else int("type" not in spec["name"])
        inputs.append({"name": spec["name"], "shape": shape, "datatype": spec["datatype"],
                       "data": [value] * elements})
    return json.dumps({"inputs": inputs}, separators=(",", ":")).encode()


def ask(connection: http.client.HTTPConnection, asked: Asked) -> Answer | None:
    """The first output, or nothing while there is no answer yet."""
    connection.request("POST", asked.path, asked.body, asked.headers)
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        return None
    size = int(response.getheader("Inference-Header-Content-Length") or len(content))
    output = json.loads(content[:size])["outputs"][0]
    if "data" in output:
        return output["data"]
    end = size + output["parameters"]["binary_data_size"]
    return [content[size:end].decode(errors="replace")]


def first_answer(started: Started, asked: Asked) -> tuple[float, Answer]:
    """Milliseconds since exec, and what it said."""
    process, port = started
    connection = http.client.HTTPConnection(HOST, port, timeout=SECONDS_MAX)
    while time.monotonic() - process.started < SECONDS_MAX:
        try:
            answer = ask(connection, asked)
            if answer is not None:
                return 1000 * (time.monotonic() - process.started), answer
        except (OSError, http.client.HTTPException):
            connection.close()
        process.check_alive()
        time.sleep(POLL_SECONDS)
    raise NotRun(f"no answer within {SECONDS_MAX:.0f} s")


def same(answer: Answer, expected: Answer) -> bool:
    if len(answer) != len(expected):
        return False
    pairs = zip(answer, expected, strict=True)
    if expected and isinstance(expected[0], str):
        return answer == expected
    return all(abs(a - b) <= TOLERANCE * max(1, abs(b)) for a, b in pairs)


def timed(begin: Callable[[], Started], asked: Asked) -> float:
    """Milliseconds from exec to the first answer, which must be the right one."""
    started = begin()
    with started.process:
        took, answer = first_answer(started, asked)
    if not same(answer, asked.answer):
        raise NotRun("it answered something else")
    return took


def known(setting: Setting, target: str) -> Asked:
    """Asks a server that is ready and nothing was prepared for."""
    started = start(setting, target, prepared=False)
    with started.process:
        started.process.wait_answer(started.port, f"/v2/models/{target}/ready")
        connection = http.client.HTTPConnection(HOST, started.port)
        path = f"/v2/models/{target}/infer"
        if target == "ocr":
            body = (setting.cache / "data" / PHOTO).read_bytes()
            headers = {"Inference-Header-Content-Length": "0"}
        else:
            connection.request("GET", f"/v2/models/{target}")
            body = request_of(json.loads(connection.getresponse().read()))
            headers = {"Content-Type": "application/json"}
        asked = Asked(path, body, headers, [])
        return asked._replace(answer=first_answer(started, asked)[1])
