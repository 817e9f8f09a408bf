"""The parts of a fleet on this machine: replicas, HAProxy, nginx, Redis, Prometheus. Each is a
process of its own with its files in one folder, and is ended by its id.

    with Fleet(baozi, folder, replica_config(models)) as fleet:
        fleet.start_replicas(3)
        fleet.start_haproxy()
        print(fleet.urls)
"""

import csv
import io
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools/bench"))
from figures import NotRun  # noqa: E402: it lies there
from processes import HOST, Process, ask  # noqa: E402

PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
WAIT_SECONDS = 30.0
PORTS_OF_OURS = (12_000, 30_000)  # below those that Linux gives to connections
AGENT_SECONDS = 1.0  # as `baozi steer haproxy` writes it
# Longer than HAProxy and nginx take to see that a replica is about to go.
DRAIN_DELAY_MS = 4000
# Without a health check of HTTP, an agent, or a repetition: what one writes in the first minute.
BLIND = """defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 30s
frontend inference
    bind {listen}
    default_backend replicas
backend replicas
    balance roundrobin
{servers}
frontend stats
    bind {stats}
    stats enable
    stats uri /
"""


def program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        raise NotRun(f"{name} is not installed; `make fleet` and `make test` install it")
    return found


def port_near(wanted: int) -> int:
    """`wanted`, or the next one that nobody has; 0: any that no connection will take, either,
    while a replica that listens there is away."""
    first = wanted or random.randrange(*PORTS_OF_OURS)
    for port in range(first, first + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise NotRun(f"no port is free from {wanted} on; end what listens there")


def wait_until(condition: Callable[[], Any], what: str, seconds: float = WAIT_SECONDS) -> Any:
    """The condition's first true value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if value := condition():
                return value
        except OSError:
            pass
        time.sleep(0.02)
    raise NotRun(f"{what}: not within {seconds:.0f} s")


class Ports(NamedTuple):
    """Where a fleet begins to look for free ones; 0: any."""

    replica: int = 0
    agent: int = 0
    haproxy: int = 0
    statistics: int = 0
    nginx: int = 0
    redis: int = 0
    prometheus: int = 0


class Replica:
    """A `baozi serve` whose ports stay the same when it is started again."""

    def __init__(self, fleet: "Fleet", name: str, config: dict[str, Any]) -> None:
        self.fleet, self.name = fleet, name
        self.port = port_near(fleet.ports.replica and fleet.ports.replica + len(fleet.replicas))
        self.agent = port_near(fleet.ports.agent and fleet.ports.agent + len(fleet.replicas))
        self.config = fleet.folder / f"{name}.yaml"
        own = {"start_record": str(fleet.folder / f"{name}.starts"),
               "fleet": {"agent": {"host": HOST, "port": self.agent}, "connections_max": 100,
                         "drain_delay_ms": DRAIN_DELAY_MS}}
        self.config.write_text(json.dumps({**config, **own}, indent=1))  # JSON is YAML
        self.process: Process | None = None

    def start(self) -> Self:
        self.process = Process(
            [self.fleet.baozi, "serve", self.config, "--host", HOST, "--http-port",
             str(self.port), "--log-level", "warning"],
            self.fleet.folder / f"{self.name}.log",
            {"XDG_CACHE_HOME": str(self.fleet.folder / "cache"),
             "XDG_STATE_HOME": str(self.fleet.folder)})
        return self

    def wait_ready(self) -> None:
        assert self.process is not None
        self.process.wait_answer(self.port, "/v2/health/ready")

    def warmth(self) -> dict[str, Any]:
        return json.loads(ask(self.port, "/v2/warmth")[1])

    def terminate(self) -> None:
        if self.process is not None:
            self.process.process.terminate()

    def stop(self) -> None:
        if self.process is not None:
            if self.process.process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    self.process.process.wait(WAIT_SECONDS)
            self.process.stop()

    def restart_gently(self) -> None:
        """SIGTERM, its end, and a start; returns when it is ready."""
        self.terminate()
        assert self.process is not None
        if self.process.process.wait(WAIT_SECONDS) != 0:
            self.process.check_alive()
        self.start().wait_ready()


class Haproxy:
    """In front of the fleet's replicas, with the configuration `text`."""

    def __init__(self, fleet: "Fleet", name: str, text: str, port: int) -> None:
        self.port = port
        # A socket's path is short, whatever the folder's.
        self.socket = Path(tempfile.mkdtemp(prefix="baozi-fleet-"), "stats")
        config = fleet.folder / f"{name}.cfg"
        config.write_text(f"global\n    stats socket {self.socket} level admin\n{text}")
        self.process = Process([program("haproxy"), "-db", "-f", config],
                               fleet.folder / f"{name}.log")
        fleet.on_exit.callback(self.stop)
        wait_until(self.socket.exists, "HAProxy's socket")

    def stop(self) -> None:
        self.process.stop()
        shutil.rmtree(self.socket.parent, ignore_errors=True)

    def rows(self) -> dict[str, dict[str, str]]:
        """Of its statistics: those of the replicas and the backend, by name."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(10)
            asked.connect(str(self.socket))
            asked.sendall(b"show stat\n")
            text = b"".join(iter(lambda: asked.recv(65536), b"")).decode()
        rows = csv.DictReader(io.StringIO(text.lstrip("# ")))
        return {row["svname"]: row for row in rows if row["pxname"] == "replicas"}

    def sent_again(self) -> int:
        """Requests that were sent once more, to the same server or another."""
        row = self.rows()["BACKEND"]
        return int(row["wretr"] or 0) + int(row["wredis"] or 0)

    def weight(self, index: int) -> int:
        return int(self.rows()[f"replica{index + 1}"]["weight"])

    def wait_up(self, indices: Iterable[int]) -> None:
        def all_up() -> bool:
            rows = self.rows()
            return all(rows[f"replica{index + 1}"]["status"].startswith(("UP", "no check"))
                       for index in indices)
        wait_until(all_up, "HAProxy finds the replicas")


class Nginx:
    """In front of the fleet's replicas, with the nginx.conf that `baozi steer nginx` prints as an
    example."""

    def __init__(self, fleet: "Fleet", port: int) -> None:
        self.port, self.replicas = port, fleet.replicas
        folder = fleet.folder / "nginx"
        folder.mkdir(exist_ok=True)
        self.upstream = folder / "upstream.conf"
        words = [program("nginx"), "-p", str(folder), "-c", "nginx.conf", "-e", "errors.log"]
        keep = [str(fleet.baozi), "steer", "nginx", "--output", str(self.upstream),
                *(word for each in fleet.replicas
                  for word in ("--replica", f"{HOST}:{each.port}"))]
        finish([*keep, "--example"], folder / "nginx.conf")
        config = (folder / "nginx.conf").read_text()
        places = "".join(f"    {kind}_temp_path {kind};\n" for kind in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = config.replace("listen 8000;", f"listen {HOST}:{port};")
        # A request that was sent to several replicas has several addresses in its line.
        log = "    log_format tries $upstream_addr;\n    access_log tries.log tries;\n"
        config = config.replace("http {\n", "http {\n" + log + places, 1)
        self.tries = folder / "tries.log"
        self.tries.unlink(missing_ok=True)  # of a run before
        head = "daemon off;\npid nginx.pid;\n" + ("user root;\n" if os.getuid() == 0 else "")
        (folder / "nginx.conf").write_text(head + config)
        finish([*keep, "--once", "--test-command", " ".join([*words, "-t"]), "--reload-command",
                "true"], folder / "first.log")
        self.process = Process(words, folder / "nginx.log")
        fleet.on_exit.callback(self.process.stop)
        wait_until(lambda: socket.create_connection((HOST, port), 1).close() is None, "nginx")
        keeper = Process([*keep, "--test-command", " ".join([*words, "-t"]), "--reload-command",
                          " ".join([*words, "-s", "reload"])], folder / "steer.log")
        fleet.on_exit.callback(keeper.stop)

    def sent_again(self) -> int:
        """Requests that were sent to another replica, each time counted."""
        return self.tries.read_text().count(",")

    def weight(self, replica: Replica) -> int:
        """As the file has it now; 0: it is down."""
        for line in self.upstream.read_text().splitlines():
            words = line.split()
            if words[:2] == ["server", f"{HOST}:{replica.port}"]:
                return int(words[2].removeprefix("weight=").replace("down;", "0"))
        raise NotRun(f"{replica.name} is not in {self.upstream}")

    def wait_up(self, indices: Iterable[int]) -> None:
        wait_until(lambda: all(self.weight(self.replicas[index]) > 1 for index in indices),
                   "nginx has the replicas")


class Fleet:
    """What is started is ended, in the opposite order, when the `with` block is left."""

    def __init__(self, baozi: Path, folder: Path, config: dict[str, Any],
                 ports: Ports = Ports()) -> None:
        self.baozi, self.folder, self.config, self.ports = baozi, folder, config, ports
        self.replicas: list[Replica] = []
        self.urls: dict[str, str] = {}  # what it is → where
        self.on_exit = ExitStack()
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.on_exit.close()

    def start_redis(self) -> str:
        """Its URL, which the replicas that are made later have for their cache."""
        port = port_near(self.ports.redis)
        redis = Process(
            [program("redis-server"), "--port", str(port), "--bind", HOST, "--save", "",
             "--appendonly", "no", "--dir", self.folder, "--maxmemory", "256mb",
             "--maxmemory-policy", "allkeys-lru"], self.folder / "redis.log")
        self.on_exit.callback(redis.stop)
        wait_until(lambda: socket.create_connection((HOST, port), 1).close() is None, "Redis")
        url = f"redis://{HOST}:{port}"
        self.config = {**self.config, "cache": {"redis": url}}
        self.urls["Redis"] = url
        return url

    def add_replica(self) -> Replica:
        """One that is not started yet."""
        if not self.replicas:
            self.on_exit.callback(self.stop_replicas)
        replica = Replica(self, f"replica{len(self.replicas) + 1}", self.config)
        self.replicas.append(replica)
        return replica

    def stop_replicas(self) -> None:
        """All at once: each waits for its balancers."""
        for replica in self.replicas:
            replica.terminate()
        for replica in self.replicas:
            replica.stop()

    def start_replicas(self, count: int) -> None:
        for _ in range(count):
            replica = self.add_replica().start()
            self.urls[replica.name] = f"http://{HOST}:{replica.port}"
        for replica in self.replicas:
            replica.wait_ready()

    def steer(self, *arguments: str) -> list[str]:
        """`baozi steer …`, as a command."""
        return [str(self.baozi), "steer", *arguments]

    def start_haproxy(self, blind: bool = False) -> Haproxy:
        """`blind`: round robin that knows of a replica only whether its port is open."""
        port, statistics = port_near(self.ports.haproxy), port_near(self.ports.statistics)
        listen, stats = f"{HOST}:{port}", f"{HOST}:{statistics}"
        if blind:
            servers = "\n".join(f"    server {each.name} {HOST}:{each.port} check inter 1s"
                                for each in self.replicas)
            text = BLIND.format(listen=listen, stats=stats, servers=servers)
        else:
            named = [word for each in self.replicas
                     for word in ("--replica", f"{HOST}:{each.port},agent={each.agent}")]
            written = self.folder / "steered.cfg"
            command = self.steer("haproxy", *named, "--listen", listen, "--stats", stats, "-o",
                                 str(written))
            finish(command, self.folder / "steer.log")
            text = written.read_text()
            self.urls["HAProxy"] = f"http://{listen}"
            self.urls["HAProxy's statistics"] = f"http://{stats}"
        return Haproxy(self, "blind" if blind else "haproxy", text, port)

    def start_nginx(self) -> "Nginx":
        """And `baozi steer nginx`, which keeps its upstream file."""
        nginx = Nginx(self, port_near(self.ports.nginx))
        self.urls["nginx"] = f"http://{HOST}:{nginx.port}"
        return nginx

    def start_prometheus(self) -> None:
        """Scrapes the replicas and HAProxy."""
        port = port_near(self.ports.prometheus)
        jobs = {"baozi": [f"{HOST}:{each.port}" for each in self.replicas]}
        if statistics := self.urls.get("HAProxy's statistics"):
            jobs["haproxy"] = [statistics.removeprefix("http://")]
        config = {"global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
                  "rule_files": [str(ROOT / "deploy/prometheus/*rules.yaml"),
                                 str(ROOT / "deploy/prometheus/*alerts.yaml")],
                  "scrape_configs": [{"job_name": name, "static_configs": [{"targets": targets}]}
                                     for name, targets in jobs.items()]}
        file = self.folder / "prometheus.yml"
        file.write_text(json.dumps(config, indent=1))
        process = Process([program("prometheus"), f"--config.file={file}",
                           f"--storage.tsdb.path={self.folder / 'prometheus'}",
                           f"--web.listen-address={HOST}:{port}"], self.folder / "prometheus.log")
        self.on_exit.callback(process.stop)
        process.wait_answer(port, "/-/ready")
        self.urls["Prometheus"] = f"http://{HOST}:{port}"


def finish(command: list[str], log: Path) -> None:
    """Runs it to its end; what it says when it fails is the error."""
    process = Process(command, log)
    if process.process.wait(WAIT_SECONDS) != 0:
        process.check_alive()
