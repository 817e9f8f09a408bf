"""A real Envoy for the client tests, with deploy/envoy/envoy.yaml; ended by its own process id."""

import importlib.util
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import harness
import yaml
from haproxy import free_port

CONFIG = Path(__file__).parent.parent / "deploy/envoy/envoy.yaml"


def program():
    found = importlib.util.find_spec("envoy")
    if found is None:
        raise AssertionError("Envoy is missing; run `make setup`")
    return Path(found.origin).parent / "_bin/envoy"


def address(port):
    return {"address": {"socket_address": {"address": harness.HOST, "port_value": port}}}


class Envoy:
    """In front of `replicas`, ports; leaves one that hangs after `hang_seconds`."""

    def __init__(self, replicas, hang_seconds):
        self.port, self.admin = free_port(), free_port()
        config = yaml.safe_load(CONFIG.read_text())
        config["admin"] = address(self.admin)
        resources = config["static_resources"]
        resources["listeners"][0].update(address(self.port))
        manager = resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        route = manager["route_config"]["virtual_hosts"][0]["routes"][0]["route"]
        route["retry_policy"]["per_try_timeout"] = f"{hang_seconds}s"
        resources["clusters"][0]["load_assignment"]["endpoints"] = [
            {"lb_endpoints": [{"endpoint": address(port)} for port in replicas]}]
        self.folder = tempfile.TemporaryDirectory(prefix="baozi-test-envoy-")
        path = Path(self.folder.name, "envoy.yaml")
        path.write_text(yaml.safe_dump(config))
        command = [program(), "-c", path, "--concurrency", "1", "--disable-hot-restart"]
        checked = subprocess.run([*command, "--mode", "validate"], capture_output=True, text=True)
        if checked.returncode != 0:
            raise AssertionError(checked.stderr)
        self.log_path = Path(self.folder.name, "log")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen([*command, "-l", "warning"], stdout=log, stderr=log)
        harness.wait_until(self.answers, "Envoy")

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Envoy ended: {self.log()}")
        try:
            return self.ask("/ready") == "LIVE\n"
        except OSError:
            return False

    def ask(self, path):
        with urllib.request.urlopen(f"http://{harness.HOST}:{self.admin}{path}") as answer:
            return answer.read().decode()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def hosts(self):
        """What Envoy knows of each replica, by its port: {"health_flags": "healthy", …}."""
        hosts = {}
        for line in self.ask("/clusters").splitlines():
            words = line.split("::")
            if len(words) == 4 and ":" in words[1]:  # not the cluster's own
                hosts.setdefault(int(words[1].rsplit(":", 1)[1]), {})[words[2]] = words[3]
        return hosts

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.folder.cleanup()
