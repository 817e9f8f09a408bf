"""Row: from exec to an open socket, and to the first answer of a real model."""

import socket
import time

from figures import Line, NotRun, median
from processes import HOST, Process
from served_model import SEQUENCE, ServedModel
from setting import Setting

TITLE = "Start"
METHOD = (
    "`baozi serve` with MiniLM f32, its files in the page cache: until connections are accepted, "
    "and until the first answer has come. The limit is a bare program that loads the model, runs "
    "it and ends."
)
NOTES: list[str] = []
SECONDS_MAX = 30


def wait_socket(process: Process, port: int) -> float:
    while time.monotonic() - process.started < SECONDS_MAX:
        process.check_alive()
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return time.monotonic() - process.started
        except OSError:
            time.sleep(0.0005)
    raise NotRun(f"the socket was not open within {SECONDS_MAX} s")


def run(setting: Setting) -> list[Line]:
    with ServedModel(setting, "minilm") as known:
        pass  # the request and the configuration are all that is wanted of it
    config = setting.out / "minilm.yaml"
    bare_program = setting.program("baozi-bare")
    model = setting.model("minilm") / "1" / "model.onnx"
    opened, answered, bare = [], [], []
    for _ in range(3 if setting.quick else 10):
        process, port = setting.serve(config, "minilm-start")
        with process:
            opened.append(1000 * wait_socket(process, port))
            answered.append(1000 * process.wait_answer(port, known.path, known.body,
                                                       known.headers, pause=0.001))
        begin = time.monotonic()
        setting.output(bare_program, model, "--batches", "1", "--splits", "1:1", "--seconds", "0",
                       "--sequence", str(SEQUENCE))
        bare.append(1000 * (time.monotonic() - begin))
    setting.say(f"socket {median(opened):.1f} ms, answer {median(answered):.0f} ms, "
                f"bare program {median(bare):.0f} ms")
    return [
        Line("exec to open socket", "ms", median(opened), higher_is_better=False),
        Line("exec to first MiniLM answer", "ms", median(answered), limit_name="bare program",
             limit=median(bare), higher_is_better=False),
    ]
