#!/usr/bin/env python3
"""Starts a fleet on this machine, prints where its parts are, and ends it with Ctrl-C.

    start.py --baozi PATH --models DIR [--folder DIR] [--once]

Three replicas with a response cache that they share in Redis; HAProxy and nginx in front of them,
steered by what the replicas say of their warmth; Prometheus, which reads all their metrics. Ports
are of the loopback: those named in PORTS, or the next that are free. Standard library only.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import parts
from figures import NotRun
from processes import ask

PORTS = parts.Ports(replica=8001, agent=8101, haproxy=8080, statistics=8404, nginx=8081,
                    redis=6380, prometheus=9090)
REPLICAS = 3
STATISTICS = "HAProxy's statistics"
SENTENCES = {"input": ["A man is eating food.", "Someone is having a meal."]}


def config(models: Path) -> dict[str, Any]:
    for name in ("minilm", "efficientnet_lite0"):
        if not (models / name / "1/model.onnx").exists():
            raise NotRun(f"the model {name} is missing in {models}; `make fleet` prepares it")
    pad = {"input_ids": 0, "attention_mask": 0, "token_type_ids": 0}
    return {"models": [{"path": str(models / "minilm"), "pad": pad},
                       {"path": str(models / "efficientnet_lite0"),
                        "labels": str(models / "efficientnet_lite0/labels.txt")}],
            "pipelines": [{"type": "embed", "cache": True, "options": {"model": "minilm"}},
                          {"type": "classify", "cache": True,
                           "options": {"model": "efficientnet_lite0"}}]}


def embed(port: int) -> None:
    """Raises NotRun unless what listens there embeds two sentences."""
    status, body = ask(port, "/v1/embeddings", json.dumps(SENTENCES).encode(),
                       {"Content-Type": "application/json"})
    if status != 200 or len(json.loads(body)["data"]) != 2:
        raise NotRun(f"/v1/embeddings on port {port} answered {status}: {body[:200]!r}")


def show(fleet: parts.Fleet, began: float) -> None:
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() and "NO_COLOR" not in os.environ \
        else ("", "")
    print(f"\nThe fleet is up after {time.monotonic() - began:.1f} s:\n")
    for name, url in fleet.urls.items():
        print(f"  {name:22}{bold}{url}{plain}")
    front = fleet.urls["HAProxy"]
    print(f"\nAsk it: curl -s {front}/v1/embeddings -d '{json.dumps(SENTENCES)}'\n"
          f"Watch it: {fleet.urls[STATISTICS]}\n"
          f"Logs and configurations: {fleet.folder}\n\nCtrl-C ends all of it.", flush=True)


class Ended(Exception):
    """Somebody asked for the end."""


def end(*_: object) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the end takes a few seconds, and is on its way
    print("\nEnding: the balancers, then the replicas, which answer what they have …", flush=True)
    raise Ended


def run(arguments: argparse.Namespace) -> None:
    began = time.monotonic()
    with parts.Fleet(arguments.baozi, arguments.folder, config(arguments.models), PORTS) as fleet:
        print(f"Starting Redis, {REPLICAS} replicas, HAProxy, nginx and Prometheus …", flush=True)
        fleet.start_redis()
        fleet.start_replicas(REPLICAS)
        haproxy = fleet.start_haproxy()
        nginx = fleet.start_nginx()
        fleet.start_prometheus()
        haproxy.wait_up(range(REPLICAS))
        embed(haproxy.port)
        embed(nginx.port)
        show(fleet, began)
        if not arguments.once:
            threading.Event().wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--baozi", type=Path, default=parts.ROOT / "build/release/bin/baozi")
    parser.add_argument("--models", type=Path, default=parts.ROOT / ".cache/models")
    parser.add_argument("--folder", type=Path, default=parts.ROOT / "build/fleet",
                        help="logs and configurations; emptied at the start")
    parser.add_argument("--once", action="store_true", help="end when everything has answered")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    shutil.rmtree(arguments.folder, ignore_errors=True)
    try:
        run(arguments)
    except Ended:
        pass
    except NotRun as error:
        print(f"fleet: {error}", file=sys.stderr)
        return 1
    print("All of it has ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
