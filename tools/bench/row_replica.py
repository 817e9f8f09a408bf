"""Row: a second server on the same host: what memory it has for itself, and how soon it answers."""

from pathlib import Path

from figures import Goal, Line, median
from setting import Setting, settle
from start_target import TITLES, Asked, first_answer, known, prepare, start

TITLE = "A second replica"
METHOD = (
    "Two servers of one model, the first of them ready; the second's memory that it shares with "
    "nobody (`Private_Clean` and `Private_Dirty` of smaps_rollup) after its first answer, beside "
    "the size of the model's files, and its time from exec to that answer. Prepared models are "
    "mapped, so that their weights are shared."
)
NOTES: list[str] = []
TARGETS = ("minilm", "resnet50_shaped", "efficientnet_lite0", "minilm_int8")
SHARE_MAX = 0.25
READY_MAX = 100


def private_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def second(setting: Setting, target: str, asked: Asked, prepared: bool) -> tuple[float, int]:
    first = start(setting, target, prepared)
    with first.process:
        first.process.wait_answer(first.port, "/v2/health/ready")
        settle()
        other = start(setting, target, prepared)
        with other.process:
            took, _ = first_answer(other, asked)
            return took, private_bytes(other.process.pid)


def measure(setting: Setting, target: str) -> list[Line]:
    asked = known(setting, target)
    prepare(setting, target)
    size = sum(path.stat().st_size for path in (setting.model(target) / "1").iterdir())
    found: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
    for _ in range(1 if setting.quick else 5):
        for prepared, rounds in found.items():
            rounds.append(second(setting, target, asked, prepared))

    def middle(prepared: bool, at: int) -> float:
        return median(each[at] for each in found[prepared])

    setting.say(f"{TITLES[target]}: {middle(True, 0):.0f} ms, {middle(True, 1) / 1e6:.1f} MB of "
                f"its own; unprepared {middle(False, 0):.0f} ms, {middle(False, 1) / 1e6:.1f} MB")
    return [
        Line(f"{TITLES[target]}: memory of its own by the model's files", "",
             middle(True, 1) / size, {"unprepared": middle(False, 1) / size},
             higher_is_better=False,
             goal=Goal("at_most", SHARE_MAX)),
        Line(f"{TITLES[target]}: exec to first answer", "ms", middle(True, 0),
             {"unprepared": middle(False, 0)}, higher_is_better=False,
             goal=Goal("at_most", READY_MAX)),
    ]


def run(setting: Setting) -> list[Line]:
    return [line for target in TARGETS for line in measure(setting, target)]
