"""Row: a model in layers on a slow disk: from exec to the first answer, beside the whole."""

import functools
import http.client
import json
import shutil
from pathlib import Path

from figures import Goal, Line, NotRun, median
from kserve_request import binary_request
from processes import HOST, Process, ask, free_port
from setting import Setting, rotated, settle
from slow_disk import SlowDisk, forget
from start_target import Asked, Started, first_answer, request_of, timed

TITLE = "Layered loading"
METHOD = (
    "`baozi serve` with the ResNet50-shaped model, from exec to the first correct answer, its "
    "files dropped from the page cache, on a disk that the system's control group limits to "
    "200 MB/s (`read` and mapped files alike): loaded as it is, then run; prepared; and prepared "
    "in layers. All of them in turn, medians. Then, with the model there, the time of an answer."
)
NOTES = [
    "Prepared matrices take twice the bytes: as they were, which ONNX Runtime packs again to "
    "compare, and packed. From a disk this slow MiniLM is there sooner unprepared, of which only "
    "the rows of its vocabulary are read that are asked for."
]
BYTES_A_SECOND = 200_000_000
MODELS = {"resnet50_shaped": "ResNet50-shaped", "minilm": "MiniLM f32"}
LAYERS = (1, 4)  # prepared in so many


class Contender:
    def __init__(self, setting: Setting, model: str, layers: int) -> None:
        """Zero layers: unprepared."""
        self.setting, self.model, self.layers = setting, model, layers
        # Its own files: others of the machine may have the models' open.
        self.folder = setting.out / "layered-models" / model
        shutil.copytree(setting.model(model), self.folder, dirs_exist_ok=True)
        self.store = setting.out / f"layered-{model}-{layers}"
        store = f"'{self.store}'" if layers else "'off'"
        self.config = setting.write(
            f"layered-{model}-{layers}.yaml",
            f"prepared: {{folder: {store}}}\nmodels:\n"
            f"  - {{path: {self.folder}, instances: 1, layers: {max(layers, 1)}}}\n")
        shutil.rmtree(self.store, ignore_errors=True)
        if layers:
            setting.output(setting.program("baozi"), "prepare", self.config)

    @property
    def path(self) -> str:
        return f"/v2/models/{self.model}/infer"

    def files(self) -> list[Path]:
        folders = [self.folder, *([self.store] if self.layers else [])]
        return [file for folder in folders for file in folder.rglob("*") if file.is_file()]

    def start(self, disk: SlowDisk | None = None) -> Started:
        port = free_port()
        words = [self.setting.program("baozi"), "serve", self.config, "--host", HOST,
                 "--http-port", str(port), "--log-level", "warning"]
        env = {name: str(self.setting.out / name.lower())
               for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME")}
        return Started(Process(disk.command(words) if disk else words,
                               self.setting.out / f"{self.config.stem}.log", env), port)


def known(contender: Contender) -> Asked:
    """Asks a server that is ready."""
    started = contender.start()
    with started.process:
        started.process.wait_answer(started.port, f"/v2/models/{contender.model}/ready")
        connection = http.client.HTTPConnection(HOST, started.port)
        connection.request("GET", f"/v2/models/{contender.model}")
        body = request_of(json.loads(connection.getresponse().read()))
        asked = Asked(contender.path, body, {"Content-Type": "application/json"}, [])
        return asked._replace(answer=first_answer(started, asked)[1])


def first_answers(setting: Setting, contenders: dict[int, Contender]) -> dict[int, float]:
    """Milliseconds."""
    asked = known(contenders[0])
    times: dict[int, list[float]] = {layers: [] for layers in contenders}
    with SlowDisk(setting.out, BYTES_A_SECOND) as disk:
        for turn in range(3 if setting.quick else 10):
            for layers in rotated(list(contenders), turn):
                contender = contenders[layers]
                forget(contender.files())
                start = functools.partial(contender.start, disk)
                times[layers].append(timed(start, asked))
    for layers, taken in times.items():
        setting.say(f"{contenders[layers].model}, {layers or 'no'} layers: {median(taken):.0f} ms "
                    f"({min(taken):.0f} to {max(taken):.0f})")
    return {layers: median(taken) for layers, taken in times.items()}


def steady(setting: Setting, contenders: dict[int, Contender]) -> dict[int, float]:
    """Milliseconds of an answer when everything is there."""
    started = {layers: contenders[layers].start() for layers in LAYERS}
    found: dict[int, list[float]] = {layers: [] for layers in LAYERS}
    try:
        for layers, (process, port) in started.items():
            process.wait_answer(port, "/v2/health/ready")
        for turn in range(1 if setting.quick else 5):
            for layers in rotated(list(LAYERS), turn):
                _, port = started[layers]
                about = json.loads(ask(port, f"/v2/models/{contenders[layers].model}")[1])
                request = binary_request(about["inputs"], 32)
                file = setting.write("layered.bin", request.body)
                settle()
                figures = setting.load(port, contenders[layers].path, "--body", file, "--header",
                                       f"Inference-Header-Content-Length: {request.header_bytes}",
                                       "-c", "1", "-d", str(setting.seconds(4)), "--warm-up", "0.5")
                if figures["errors"]:
                    raise NotRun(f"{figures['errors']} errors: {figures['by_status']}")
                found[layers].append(figures["latency_us"]["median"] / 1000)
    finally:
        for process, _ in started.values():
            process.stop()
    for layers, taken in found.items():
        setting.say(f"{contenders[layers].model}, {layers} layers, steady: {median(taken):.2f} ms")
    return {layers: median(taken) for layers, taken in found.items()}


def run(setting: Setting) -> list[Line]:
    lines = []
    for model, name in MODELS.items():
        contenders = {layers: Contender(setting, model, layers) for layers in (0, *LAYERS)}
        first = first_answers(setting, contenders)
        ran = steady(setting, contenders)
        goal = Goal("of_limit", 0.7) if model == "resnet50_shaped" else None
        for layers in LAYERS:
            what = f"{name}, prepared" if layers == 1 else f"{name}, in {layers} layers"
            lines.append(Line(f"first answer, {what}", "ms", first[layers],
                              limit_name="loaded, then run", limit=first[0],
                              higher_is_better=False, goal=goal if layers > 1 else None))
        lines.append(Line(f"an answer, {name}, in {LAYERS[-1]} layers", "ms", ran[LAYERS[-1]],
                          limit_name="whole", limit=ran[1], higher_is_better=False))
    return lines
