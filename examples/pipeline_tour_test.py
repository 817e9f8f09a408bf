"""Runs pipeline_tour and checks what it prints: the answers, the reasons, the overlap."""

import json
import pathlib
import re
import subprocess
import sys
import tempfile


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        trace = pathlib.Path(folder, "trace.json")
        command = [program, trace]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        out = done.stdout
        events = json.loads(trace.read_text())["traceEvents"]
    print(out)
    for expected in (
        r"request 1   answered: <STEAMED>!",
        r"request 2   answered: <FRIED>!",
        r"request 3   CANCELLED: ",
        r"request 4   INVALID_ARGUMENT: the input is empty"
        r".*\n +left the co_await at pipeline_tour.cc:\d+"
        r"\n +left the co_await at with_deadline.h:\d+",
        r"request 5   DEADLINE_EXCEEDED: ",
    ):
        assert re.search(expected, out), f"missing: {expected}"
    rows = dict(re.findall(r"request (\d)   \|(.*)\|", out))
    assert re.fullmatch(r" *p+ *M+ *o+ *", rows["1"]), rows["1"]
    model_columns = [{i for i, mark in enumerate(row) if mark == "M"} for row in rows.values()]
    busy = set().union(*model_columns)
    assert "M" not in rows["4"], "the model ran for a request that had failed"
    assert "o" not in rows["3"] + rows["4"] + rows["5"], "work was done for somebody who was gone"
    overlap = [i for i in busy for row in rows.values() if row[i] in "po"]
    assert overlap, "no pre- or post-process ran while the model did"
    tracks = {event["cat"] for event in events if event["ph"] == "b"}
    assert len([track for track in tracks if re.fullmatch(r"request \d+", track)]) == 5, tracks


if __name__ == "__main__":
    main(sys.argv[1])
