"""Programs that run while something is measured: started, watched through /proc, ended by id."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from figures import NotRun

HOST = "127.0.0.1"
READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 10.0
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def stat_fields(pid: int) -> list[str] | None:
    """proc(5), from the state on: the name before it may hold spaces and brackets."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


def descendants(root: int) -> list[int]:
    """`root` and all processes below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := stat_fields(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time so far, of all together."""
    fields = [stat_fields(pid) for pid in pids]
    return sum(int(f[11]) + int(f[12]) for f in fields if f) / TICK


class Process:
    """A server. Its output goes to a log that is quoted when it fails."""

    def __init__(self, command: list[str | Path], log: Path,
                 env: dict[str, str] | None = None) -> None:
        self.log = log
        self.started = time.monotonic()
        with open(log, "wb") as out:
            try:
                self.process = subprocess.Popen(
                    [str(word) for word in command], stdout=out, stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})},
                    start_new_session=True)
            except OSError as error:
                raise NotRun(f"cannot start {command[0]}: {error.strerror}") from error
        self.pid = self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def cpu_seconds(self) -> float:
        return cpu_seconds(descendants(self.pid))

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE

    def check_alive(self) -> None:
        if self.process.poll() is not None:
            lines = self.log.read_text(errors="replace").strip().splitlines()
            last = lines[-1][:200] if lines else "it printed nothing"
            raise NotRun(f"ended with status {self.process.returncode}: {last}")

    def wait_answer(self, port: int, path: str, body: bytes | None = None,
                    headers: dict[str, str] | None = None, pause: float = 0.05) -> float:
        """Asks until the answer is 200; returns the seconds since the start."""
        status: int | str = "no connection"
        while time.monotonic() - self.started < READY_SECONDS_MAX:
            self.check_alive()
            try:
                status = ask(port, path, body, headers)[0]
                if status == 200:
                    return time.monotonic() - self.started
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(pause)
        raise NotRun(f"no answer from {path} within {READY_SECONDS_MAX:.0f} s (last: {status})")

    def stop(self) -> None:
        family = descendants(self.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in family[1:]:
            fields = stat_fields(pid)
            if fields and int(fields[3]) == self.pid:  # still a member of the session we made
                os.kill(pid, signal.SIGKILL)


def ask(port: int, path: str, body: bytes | None = None,
        headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("POST" if body else "GET", path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
