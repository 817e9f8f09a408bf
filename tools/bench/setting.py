"""Where things are, how long to measure, and the programs that measure."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from figures import NotRun
from processes import HOST, Process, free_port

HERE = Path(__file__).resolve().parent
COMMAND_SECONDS_MAX = 300


class Setting(NamedTuple):
    build: Path
    cache: Path
    out: Path  # logs, request bodies, configurations
    quick: bool
    say: Callable[[str], None]
    over: float  # on time.monotonic()'s clock: when the whole run must end

    @property
    def rounds(self) -> int:
        return 1 if self.quick else 3

    def seconds(self, full: float) -> float:
        """How long to measure what gets `full` seconds in a full run."""
        return full / 4 if self.quick else full

    def program(self, name: str) -> Path:
        path = self.build / "bin" / name
        if not path.exists():
            raise NotRun(f"{name} is not built (ninja {name}, with BAOZI_BENCH=ON)")
        return path

    def model(self, name: str) -> Path:
        path = self.cache / "models" / name
        if not (path / "1" / "model.onnx").exists():
            raise NotRun(f"the model {name} is missing (tools/models/prepare.py makes it)")
        return path

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.out / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def output(self, *command: str | Path) -> str:
        """Runs to the end. Raises NotRun with the last line of what it said when it fails."""
        words = [str(word) for word in command]
        name = Path(words[0]).name
        left = self.over - time.monotonic()
        if left <= 0:
            raise NotRun("the time for the whole run was over")
        limit = min(COMMAND_SECONDS_MAX, left)
        try:
            done = subprocess.run(words, capture_output=True, text=True,
                                  timeout=limit)
        except FileNotFoundError as error:
            raise NotRun(f"{name} is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise NotRun(f"{name} took more than {limit:.0f} s") from error
        if done.returncode != 0:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
            raise NotRun(f"{name} failed with status {done.returncode}: {last[0][:200]}")
        return done.stdout

    def serve(self, config: Path, label: str) -> tuple[Process, int]:
        """Starts `baozi serve`; the port is the second value."""
        port = free_port()
        command = [self.program("baozi"), "serve", config, "--host", HOST, "--http-port",
                   str(port), "--log-level", "warning"]
        # What is prepared of models is kept here: the user's own is not touched.
        env = {"XDG_CACHE_HOME": str(self.out / "cache")}
        return Process(command, self.out / f"{label}.log", env), port

    def wrk(self, port: int, path: str, body: Path, connections: int, seconds: float) -> dict:
        script = HERE / "wrk_post.lua"
        # wrk takes whole seconds only
        out = self.output("wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s",
                          "-s", script, f"http://{HOST}:{port}{path}", "--", body)
        return json.loads(out.strip().splitlines()[-1])

    def load(self, port: int, path: str, *arguments: str | Path) -> dict:
        out = self.output(self.program("baozi-load"), "--url", f"http://{HOST}:{port}{path}",
                          *arguments)
        return json.loads(out.strip().splitlines()[-1])


def rotated(things: list, by: int) -> list:
    """The order of a round, so that nobody always goes first."""
    by %= len(things) or 1
    return things[by:] + things[:by]


def settle() -> None:
    time.sleep(0.3)
