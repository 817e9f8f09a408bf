"""The servers that are measured beside each other, and how each is started: the one place."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from figures import NotRun
from llm_client import MODEL
from processes import HOST, Process, free_port
from setting import Setting

OURS = "baozi"
PEER = "llama-server"
THREADS = 2
# Further command lines of the peer, by the name under which --variants asks for them.
VARIANTS = {
    "kvu": ["-kvu"],
    "cache-reuse": ["--cache-reuse", "256"],
    "quick-start": ["-fit", "off", "--no-warmup"],
}


# Where ours keeps what requests share, in the folder for output; nothing of an earlier run.
PREFIXES = "llm-prefixes"


class Shape(NamedTuple):
    """What a server is started for."""

    sequences: int  # that are computed beside each other
    context: int  # tokens of one sequence: prompt and answer


USUAL = Shape(8, 1024)

BAOZI_CONFIG = """\
http: {{drain_timeout_ms: 5000}}
models:
  - name: {name}
    path: {path}
    language:
      threads: {threads}
      answers_max: {sequences}
      context: {context}
      prefixes: {prefixes}
"""


def baozi_command(setting: Setting, model: Path, shape: Shape, port: int) -> list[str | Path]:
    # The same KV memory as the peer's slots have together.
    text = BAOZI_CONFIG.format(name=MODEL, path=model, threads=THREADS, sequences=shape.sequences,
                               context=shape.sequences * shape.context,
                               prefixes=setting.out / PREFIXES)
    config = setting.write(f"llm-{model.parents[1].name}.yaml", text)
    return [setting.program("baozi"), "serve", config, "--host", HOST, "--http-port", str(port)]


def peer_command(setting: Setting, model: Path, shape: Shape, port: int) -> list[str | Path]:
    program = setting.cache / "llama-server" / "llama-server"
    if not program.exists():
        raise NotRun("llama-server is missing (setup/setup.sh bench-llm builds it)")
    return [program, "-m", model, "--host", HOST, "--port", str(port), "-t", str(THREADS),
            "-np", str(shape.sequences), "-c", str(shape.sequences * shape.context), "--no-webui"]


class Contender(NamedTuple):
    name: str
    command: Callable[[Setting, Path, Shape, int], list[str | Path]]
    options: tuple[str, ...] = ()

    def start(self, setting: Setting, model: Path, shape: Shape) -> tuple[Process, int]:
        port = free_port()
        command = [*self.command(setting, model, shape, port), *self.options]
        return Process(command, setting.out / f"llm-{self.name.replace(' ', '')}.log"), port


BAOZI = Contender(OURS, baozi_command)
LLAMA_SERVER = Contender(PEER, peer_command)


def variant(name: str) -> Contender:
    options = VARIANTS[name]
    return Contender(f"{PEER} {' '.join(options)}", peer_command, tuple(options))
