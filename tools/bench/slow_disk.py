"""A disk that reads at a limited speed, for the processes that are started on it: the system's
blkio control group (version 1 or 2), so that read() and mapped files are slowed alike. Needs root.
"""

import ctypes
import mmap
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from figures import NotRun

V1 = Path("/sys/fs/cgroup/blkio")
V2 = Path("/sys/fs/cgroup")
LARGE = 1 << 20


def disk_of(path: Path) -> str:
    """MAJOR:MINOR of the whole disk that a path lies on."""
    number = path.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    if not device.exists():
        raise NotRun(f"{path} lies on no disk whose speed can be limited")
    whole = device.resolve().parent if (device / "partition").exists() else device
    return (whole / "dev").read_text().strip()


def forget(files: Iterable[Path]) -> None:
    """Drops files from the page cache; a page of a small one may stay for a while."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            if os.fstat(descriptor).st_size >= LARGE and is_cached(descriptor):
                raise NotRun(f"{file} cannot be dropped from the page cache")
        finally:
            os.close(descriptor)


def is_cached(descriptor: int) -> bool:
    """Whether a tenth of it is in the page cache. (A read that must not wait would fetch it.)"""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    size = os.fstat(descriptor).st_size
    at = libc.mmap(None, ctypes.c_size_t(size), mmap.PROT_READ, mmap.MAP_SHARED, descriptor,
                   ctypes.c_size_t(0))
    pages = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
    libc.mincore(ctypes.c_void_p(at), ctypes.c_size_t(size), pages)
    libc.munmap(ctypes.c_void_p(at), ctypes.c_size_t(size))
    return sum(page & 1 for page in pages.raw) > len(pages) / 10


class SlowDisk:
    """`command(words)` runs a program on it."""

    def __init__(self, path: Path, bytes_a_second: int) -> None:
        disk = disk_of(path)
        first = (V1 / "blkio.throttle.read_bps_device").exists()
        self.group = (V1 if first else V2) / f"baozi-bench-{os.getpid()}"
        try:
            self.group.mkdir()
            if first:
                limit = self.group / "blkio.throttle.read_bps_device"
                limit.write_text(f"{disk} {bytes_a_second}")
            else:
                (self.group / "io.max").write_text(f"{disk} rbps={bytes_a_second}")
        except OSError as error:
            self.close()
            raise NotRun(f"a disk's speed cannot be limited here: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def command(self, words: list[str | Path]) -> list[str | Path]:
        enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
        return ["sh", "-c", enter, self.group, *words]

    def close(self) -> None:
        for _ in range(50):  # until the last process has left it
            try:
                self.group.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.1)
