"""Where and with what a run was made."""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ("libboost1.81-dev", "libboost1.83-dev", "libtbb-dev", "libbenchmark-dev", "wrk")
PYTHON_PACKAGES = ("litserve", "mosec", "flask", "gunicorn", "onnxruntime")


def first_line(*command: str | Path) -> str:
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                              timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (done.stdout or done.stderr).strip().splitlines()
    return lines[0] if lines and done.returncode == 0 else ""


def read(path: str, pattern: str) -> str:
    try:
        found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def memory() -> str:
    kilobytes = read("/proc/meminfo", r"^MemTotal:\s+(\d+)")
    return f"{int(kilobytes) / 2**20:.1f} GiB" if kilobytes else "unknown"


def debian_versions() -> list[str]:
    if shutil.which("dpkg-query") is None:
        return []
    found = []
    for package in PACKAGES:
        version = first_line("dpkg-query", "-W", "-f", "${Version}\n", package)
        if version:
            found.append(f"{package} {version}")
    return found


def python_versions(cache: Path) -> list[str]:
    script = ("import importlib.metadata as m, sys\n"
              "print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))")
    text = first_line(cache / "bench-venv" / "bin" / "python", "-c", script, *PYTHON_PACKAGES)
    return text.split(", ") if text else []


def taskflow_version(cache: Path) -> list[str]:
    text = read(str(cache / "taskflow/include/taskflow/taskflow.hpp"),
                r"^#define TF_VERSION (\d+)")
    if not text:
        return []
    number = int(text)
    return [f"Taskflow {number // 100_000}.{number // 100 % 1000}.{number % 100}"]


def commit(root: Path) -> str:
    found = first_line("git", "-C", root, "rev-parse", "--short=12", "HEAD")
    if not found:
        return "not a git checkout"
    changed = first_line("git", "-C", root, "status", "--porcelain", "--untracked-files=no", "--",
                         "baozi", "apps", "tools", "cmake", "CMakeLists.txt", "CMakePresets.json")
    return found + (", with changes" if changed else "")


def facts(root: Path, build: Path, cache: Path) -> dict[str, str]:
    compiler = read(str(build / "CMakeCache.txt"), r"^CMAKE_CXX_COMPILER:\w+=(.*)$")
    build_type = read(str(build / "CMakeCache.txt"), r"^CMAKE_BUILD_TYPE:\w+=(.*)$")
    versions = [*debian_versions(), *taskflow_version(cache), *python_versions(cache)]
    system = read("/etc/os-release", r'^PRETTY_NAME="(.*)"$')
    return {
        "processor": read("/proc/cpuinfo", r"^model name\s*:\s*(.*)$") or platform.processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": memory(),
        "system": f"{system or 'unknown'}, Linux {platform.release()}, {platform.machine()}",
        "load before": f"{os.getloadavg()[0]:.1f} processes in the last minute",
        "baozi": f"{commit(root)}, {build_type or 'unknown'} build",
        "compiler": first_line(compiler, "--version") if compiler else "unknown",
        "Python": sys.version.split()[0],
        "others": ", ".join(versions) or "none",
    }
