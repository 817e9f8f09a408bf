"""LitServe: `litserve_server.py PORT`, one worker a core."""

import os
import sys
from typing import Any

import litserve
from model import Model


class Infer(litserve.LitAPI):
    def setup(self, device: str) -> None:
        del device  # the CPU
        self.model = Model()

    def predict(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.model.infer(request)


if __name__ == "__main__":
    server = litserve.LitServer(
        Infer(), accelerator="cpu", workers_per_device=os.cpu_count(), timeout=30
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", generate_client_file=False
    )
