"""Runs gdb on tasks_example, stopped at its breakpoint, and checks what `baozi tasks` prints.

Usage: tasks_test.py PROGRAM SOURCE. Exits with 77 (skipped) when there is no gdb.
"""

import pathlib
import re
import shutil
import subprocess
import sys


def lines_by_mark(source):
    text = pathlib.Path(source).read_text().splitlines()
    marks = ((re.search(r"// line: (\w+)", line), at) for at, line in enumerate(text, 1))
    return {mark.group(1): at for mark, at in marks if mark}


def main(program, source):
    if shutil.which("gdb") is None:
        print("SKIPPED: gdb is not installed (setup/setup.sh test installs it)")
        return 77
    script = pathlib.Path(__file__).with_name("baozi.py")
    steps = [f"source {script}", "break stop_here", "run"]
    steps += ["baozi tasks", "baozi tasks one_of_all", "continue"]
    command = ["gdb", "-nx", "-batch", *(word for step in steps for word in ("-ex", step)), program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    print(done.stdout, done.stderr)
    line = lines_by_mark(source)
    name = pathlib.Path(source).name

    def frame(depth, function):
        return rf"  #{depth} \S*{function} at \S*{name}:{line[function]}\n"

    task = r"task 0x[0-9a-f]+ on the-lane\n"
    in_when_all = r"  #1 \S*when_all at \S*when_all.h:\d+\n"
    expected = [
        task + frame(0, "innermost") + frame(1, "middle") + frame(2, "outer") + frame(3, "all"),
        task + frame(0, "one_of_all") + in_when_all + frame(2, "together"),
        task + r"  #0 stop_then_go\S* running or ready\n" + frame(1, "all"),
    ]
    missing = [pattern for pattern in expected if not re.search(pattern, done.stdout)]
    if not re.search(r"^2 tasks$", done.stdout, re.MULTILINE):
        missing.append("2 tasks, for the filter")
    for pattern in missing:
        print("MISSING:", pattern)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
