"""Servers of the no-op model that are measured beside each other."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from figures import NotRun
from processes import HOST, Process, free_port
from setting import HERE, Setting

OURS = "baozi"
BARE = "bare HTTP server"
PEERS_FOLDER = HERE / "peers"
REQUEST = json.dumps({
    "id": "1",
    "inputs": [{"name": "input", "shape": [1, 4], "datatype": "FP32",
                "data": [1.0, 2.0, 3.0, 4.0]}],
})
REQUEST_HEADERS = {"Content-Type": "application/json"}


class Contender(NamedTuple):
    name: str
    path: str  # of the request
    start: Callable[[Setting], tuple[Process, int]]


def start_baozi(setting: Setting) -> tuple[Process, int]:
    config = f"models:\n  - path: {setting.model('noop')}\n"
    return setting.serve(setting.write("noop.yaml", config), "noop-baozi")


def start_bare(setting: Setting) -> tuple[Process, int]:
    port = free_port()
    return Process([setting.program("http_constant"), str(port)], setting.out / "bare.log"), port


def start_python(setting: Setting, label: str, command: Callable[[int], list[str]],
                 more: dict[str, str] | None = None) -> tuple[Process, int]:
    python = setting.cache / "bench-venv" / "bin" / "python"
    if not python.exists():
        raise NotRun("the peers' Python environment is missing (setup/setup.sh bench makes it)")
    port = free_port()
    env = {"BENCH_MODEL": str(setting.model("noop") / "1" / "model.onnx"), "PYTHONPATH": "",
           "PYTHONDONTWRITEBYTECODE": "1", "PATH": f"{python.parent}:{os.environ['PATH']}",
           **(more or {})}
    process = Process([python, *command(port)], setting.out / f"{label}.log", env)
    return process, port


def start_litserve(setting: Setting) -> tuple[Process, int]:
    script = str(PEERS_FOLDER / "litserve_server.py")
    return start_python(setting, "litserve", lambda port: [script, str(port)])


def start_mosec(setting: Setting) -> tuple[Process, int]:
    script = str(PEERS_FOLDER / "mosec_server.py")
    return start_python(setting, "mosec",
                        lambda port: [script, "--address", HOST, "--port", str(port)])


def start_flask(setting: Setting) -> tuple[Process, int]:
    # Threads keep connections alive, which plain workers do not.
    return start_python(setting, "flask", lambda port: [
        "-m", "gunicorn", "--workers", str(os.cpu_count()), "--worker-class", "gthread",
        "--threads", "32", "--keep-alive", "30", "--no-control-socket", "--bind", f"{HOST}:{port}",
        "--chdir", str(PEERS_FOLDER), "flask_app:app"])


def start_triton(setting: Setting) -> tuple[Process, int]:
    program = shutil.which("tritonserver")
    if program is None:
        raise NotRun("no tritonserver here")
    repository = setting.out / "triton"
    version = repository / "noop" / "1"
    version.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(setting.model("noop") / "1" / "model.onnx", version / "model.onnx")
    port = free_port()
    command: list[str | Path] = [
        program, f"--model-repository={repository}", f"--http-port={port}",
        f"--http-address={HOST}", "--allow-grpc=false", "--allow-metrics=false"]
    return Process(command, setting.out / "triton.log"), port


CONTENDERS = (
    Contender(OURS, "/v2/models/noop/infer", start_baozi),
    Contender(BARE, "/", start_bare),
    Contender("LitServe", "/predict", start_litserve),
    Contender("mosec", "/inference", start_mosec),
    Contender("Flask + gunicorn", "/infer", start_flask),
    Contender("Triton", "/v2/models/noop/infer", start_triton),
)
PEERS = tuple(contender.name for contender in CONTENDERS if contender.name not in (OURS, BARE))
