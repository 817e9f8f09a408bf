"""`baozi serve` with one real model, and a request for it."""

import json
from pathlib import Path
from types import TracebackType
from typing import Self

from figures import NotRun
from kserve_request import binary_request
from processes import ask
from setting import Setting

SEQUENCE = 32


def config_text(model: Path, pad: bool) -> str:
    text = f"models:\n  - path: {model}\n"
    if pad:
        text += "    pad: {input_ids: 0, attention_mask: 0, token_type_ids: 0}\n"
    return text


class ServedModel:
    """Answers when the constructor returns; ends with the `with` block."""

    def __init__(self, setting: Setting, name: str) -> None:
        self.setting = setting
        self.name = name
        self.path = f"/v2/models/{name}/infer"
        text = config_text(setting.model(name), name.startswith("minilm"))
        self.process, self.port = setting.serve(setting.write(f"{name}.yaml", text), name)
        try:
            self.process.wait_answer(self.port, f"/v2/models/{name}/ready")
            metadata = json.loads(ask(self.port, f"/v2/models/{name}")[1])
            request = binary_request(metadata["inputs"], SEQUENCE)
            self.body = request.body
            self.headers = {"Inference-Header-Content-Length": str(request.header_bytes),
                            "Content-Type": "application/octet-stream"}
            self.infer()
        except BaseException:
            self.process.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.process.stop()

    def infer(self) -> None:
        status, answer = ask(self.port, self.path, self.body, self.headers)
        if status != 200:
            raise NotRun(f"{self.name} answered {status}: {answer[:200].decode(errors='replace')}")

    def load(self, connections: int, seconds: float, warm_up: float) -> dict:
        """baozi-load's figures; raises NotRun when requests failed."""
        body = self.setting.write(f"{self.name}.bin", self.body)
        headers = [word for item in self.headers.items() for word in ("--header", ": ".join(item))]
        figures = self.setting.load(
            self.port, self.path, "--body", str(body), *headers, "-c", str(connections),
            "-d", str(seconds), "--warm-up", str(warm_up), "--server-pid", str(self.process.pid))
        self.process.check_alive()
        if figures["errors"]:
            raise NotRun(f"{figures['errors']} errors: {figures['by_status']}")
        return figures
