"""Row: the resident memory of a server with a real model."""

from figures import Goal, Line, median
from served_model import ServedModel
from setting import Setting

TITLE = "Memory"
METHOD = (
    "The resident set of `baozi serve` with MiniLM f32 after 100 requests, in its default "
    "settings, beside the size of the model's files."
)
NOTES = ["Seen elsewhere: Triton 24.10, 183 MB for 91 MB."]
REQUESTS = 100
SHARE_MAX = 1.3


def run(setting: Setting) -> list[Line]:
    # A model may keep its weights in files of their own.
    weights = sum(file.stat().st_size for file in (setting.model("minilm") / "1").iterdir())
    resident = []
    for _ in range(setting.rounds):
        with ServedModel(setting, "minilm") as server:
            for _ in range(REQUESTS):
                server.infer()
            resident.append(server.process.resident_bytes())
        setting.say(f"{resident[-1] / 1e6:,.1f} MB resident")
    return [Line("MiniLM f32, warm", "MB", median(resident) / 1e6, limit_name="weights",
                 limit=weights / 1e6, higher_is_better=False, goal=Goal("of_limit", SHARE_MAX))]
