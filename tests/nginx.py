"""A real nginx for the client tests, in a folder of its own, ended by its own process id."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import harness

PROGRAM = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
CONFIG = """
daemon off;
worker_processes 2;
pid nginx.pid;
error_log errors.log notice;
{root}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include broken*.conf;
    include "{upstream}";
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://baozi;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream error timeout http_502 http_503 non_idempotent;
            proxy_connect_timeout 1s;
            proxy_read_timeout {hang}s;
        }}
    }}
}}
"""


class Nginx:
    """The folder is there from the beginning, nginx from start() on."""

    def __init__(self, port, hang_seconds=2):
        if PROGRAM is None:
            raise AssertionError("nginx is missing; run `make setup`")
        self.port, self.process = port, None
        self.folder = tempfile.TemporaryDirectory(prefix="baozi-test-nginx-")
        self.path = Path(self.folder.name)
        self.upstream = self.path / "upstream.conf"
        root = "user root;" if os.getuid() == 0 else ""
        (self.path / "nginx.conf").write_text(CONFIG.format(
            upstream=self.upstream, host=harness.HOST, port=port, hang=hang_seconds, root=root))
        self.words = [PROGRAM, "-p", str(self.path), "-c", "nginx.conf", "-e", "errors.log"]
        self.test_command = " ".join([*self.words, "-t"])
        # Each reload leaves a line, so that reloads can be counted.
        script = self.path / "reload"
        script.write_text(f"#!/bin/sh\necho reload >> {self.path}/reloads\n"
                          f"exec {' '.join(self.words)} -s reload\n")
        script.chmod(0o755)
        self.reload_command = str(script)

    def start(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        # The file is made before it is filled.
        harness.wait_until(lambda: self.pid_text() == str(self.process.pid),
                           f"nginx's pid file\n{self.errors()}")

    def pid_text(self):
        pid = self.path / "nginx.pid"
        return pid.read_text().strip() if pid.exists() else ""

    def errors(self):
        log = self.path / "errors.log"
        return log.read_text() if log.exists() else ""

    def reloads(self):
        counted = self.path / "reloads"
        return len(counted.read_text().splitlines()) if counted.exists() else 0

    def workers(self):
        """Process ids of its workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return set(children.read_text().split())

    def weights(self):
        """By port: the weight, or "down"."""
        found = {}
        for line in self.upstream.read_text().splitlines():
            words = line.strip().rstrip(";").split()
            if words[:1] == ["server"]:
                port = int(words[1].rsplit(":", 1)[1])
                found[port] = words[2].removeprefix("weight=")
        return found

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.folder.cleanup()
