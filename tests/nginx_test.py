"""Replicas behind a real nginx whose upstream file `baozi steer nginx` keeps: one joins cold, all
are restarted, one is killed, one hangs, fifty leave at once, nginx refuses its configuration."""

import http.server
import json
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

import harness
from fleet_test import Load, steer
from haproxy import free_port
from nginx import Nginx

INTERVAL = 0.25 * harness.SLOWNESS  # a look has half of it
HANG_SECONDS = 2
REPLICA = {"models": [{"path": "bun.fake", "instances": 4}], "fleet": {"drain_delay_ms": 2000}}


class Keeper:
    """`baozi steer nginx …`, its log in a file."""

    def __init__(self, nginx, ports, *more, host=harness.HOST, interval=INTERVAL):
        self.log_file = tempfile.NamedTemporaryFile("w+", prefix="baozi-test-steer-")
        replicas = [word for port in ports for word in ("--replica", f"{host}:{port}")]
        self.process = subprocess.Popen(
            [harness.BAOZI, "steer", "nginx", *replicas, "--output", nginx.upstream,
             "--test-command", nginx.test_command, "--reload-command", nginx.reload_command,
             "--interval", str(interval), "--reload-every", "0.1", *map(str, more)],
            stdout=self.log_file, stderr=subprocess.STDOUT)

    def log(self):
        return Path(self.log_file.name).read_text(errors="replace")

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30 * harness.SLOWNESS)
        self.log_file.close()


class Pretender:
    """Answers /v2/warmth with what `answer` is, on a free port; for fleets that are too large to
    be real."""

    def __init__(self):
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                owner.gate.wait(60)
                if owner.flaps and owner.asked % 2:
                    owner.asked += 1
                    self.send_error(500)
                    return
                body = owner.answer.encode()
                self.send_response(owner.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                owner.asked += 1

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass  # a connection was reset, as the answer was too long

        self.status, self.asked, self.flaps = 200, 0, False
        self.gate = threading.Event()  # cleared: it hangs
        self.gate.set()
        self.say("ready")
        self.server = Server((harness.HOST, 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def say(self, state):
        self.answer = json.dumps({"state": state, "warmth": 0.5, "seconds_left": None, "queue": 0,
                                  "in_flight": 0, "utilisation": 0.0})

    def end(self):
        self.gate.set()
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class NginxTest(unittest.TestCase):
    def setUp(self):
        self.nginx = Nginx(free_port(), HANG_SECONDS)
        self.addCleanup(self.nginx.end)

    def replica(self, port, **fake):
        server = harness.Server(REPLICA, files={"bun.fake": harness.fake(latency_us=5_000, **fake)},
                                port=port)
        self.addCleanup(server.end)
        self.addCleanup(server.process.kill)  # what a test did not end need not drain
        return server

    def keep(self, ports, *more, **options):
        keeper = Keeper(self.nginx, ports, *more, **options)
        self.addCleanup(keeper.end)
        self.keeper = keeper
        return keeper

    def begin(self, ports):
        """The file is made while there is no nginx to reload, as on a fresh machine."""
        self.keep(ports)
        harness.wait_until(self.nginx.upstream.exists, "an upstream file")
        harness.wait_until(lambda: len(self.nginx.weights()) == len(ports), "an upstream file")
        self.nginx.start()

    def wait_for(self, weights):
        try:
            harness.wait_until(lambda: self.nginx.weights() == weights, f"weights {weights}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.nginx.weights()}\n{self.keeper.log()}\n"
                                 f"{self.nginx.errors()}") from None

    def wait_reloads(self, count):
        """Until so many reloads were asked for, and none is under way."""
        marker = Path(str(self.nginx.upstream) + ".before")
        harness.wait_until(lambda: self.nginx.reloads() >= count and not marker.exists(),
                           f"{count} reloads")

    def ended_well(self):
        self.keeper.process.terminate()
        self.assertEqual(self.keeper.process.wait(20 * harness.SLOWNESS), 0, self.keeper.log())


class RealReplicasTest(NginxTest):
    def test_a_cold_replica_gets_little_until_it_is_hot(self):
        ports = [free_port(), free_port()]
        self.replica(ports[0]).wait_ready()
        self.begin(ports)
        self.wait_for({ports[0]: "5", ports[1]: "down"})
        with Load(self.nginx.port) as load:
            load.go_on(20)
            self.replica(ports[1], load_ms=4000)
            self.wait_for({ports[0]: "5", ports[1]: "1"})
            load.go_on(20)
            self.wait_for({ports[0]: "5", ports[1]: "5"})
            load.go_on(20)
        self.assertEqual(load.failures, [])
        self.ended_well()

    def test_all_are_restarted_one_after_the_other_and_nobody_sees_it(self):
        ports = [free_port() for _ in range(3)]
        servers = [self.replica(port) for port in ports]
        for server in servers:
            server.wait_ready()
        self.begin(ports)
        self.wait_for(dict.fromkeys(ports, "5"))
        with Load(self.nginx.port) as load:
            for port, server in zip(ports, servers):
                server.process.terminate()
                self.wait_for({**dict.fromkeys(ports, "5"), port: "down"})
                self.assertIsNone(server.process.poll(), "it was not out before it went")
                self.assertEqual(server.process.wait(60 * harness.SLOWNESS), 0)
                self.replica(port)
                self.wait_for(dict.fromkeys(ports, "5"))
                load.go_on(20)
        self.assertEqual(load.failures, [])

    def test_a_killed_replica_is_not_seen(self):
        ports = [free_port() for _ in range(3)]
        servers = [self.replica(port) for port in ports]
        for server in servers:
            server.wait_ready()
        self.begin(ports)
        self.wait_for(dict.fromkeys(ports, "5"))
        with Load(self.nginx.port) as load:
            load.go_on(50)
            servers[1].process.kill()
            load.go_on(50)
            self.wait_for({**dict.fromkeys(ports, "5"), ports[1]: "down"})
            load.go_on(50)
        self.assertEqual(load.failures, [])

    def test_a_hung_replica_is_late_and_no_error_and_comes_back(self):
        ports = [free_port() for _ in range(3)]
        servers = [self.replica(port) for port in ports]
        for server in servers:
            server.wait_ready()
        self.begin(ports)
        self.wait_for(dict.fromkeys(ports, "5"))
        with Load(self.nginx.port) as load:
            load.go_on(50)
            servers[2].process.send_signal(signal.SIGSTOP)
            try:
                self.wait_for({**dict.fromkeys(ports, "5"), ports[2]: "down"})
                load.go_on(100)
            finally:
                servers[2].process.send_signal(signal.SIGCONT)
            self.wait_for(dict.fromkeys(ports, "5"))
            load.go_on(50)
        self.assertEqual(load.failures, [])


class PretendersTest(NginxTest):
    def pretend(self, count):
        all_of_them = [Pretender() for _ in range(count)]
        for each in all_of_them:
            self.addCleanup(each.end)
        return all_of_them

    def start(self, count, **options):
        replicas = self.pretend(count)
        self.nginx.upstream.write_text("upstream baozi { server 127.0.0.1:9; }\n")
        self.nginx.start()
        self.keep([each.port for each in replicas], **options)
        self.wait_for({each.port: "5" for each in replicas})
        self.wait_reloads(1)
        return replicas

    def test_what_has_not_changed_is_not_reloaded(self):
        replicas = self.start(2)
        time.sleep(4 * INTERVAL)  # workers that were replaced are gone
        reloads, workers = self.nginx.reloads(), self.nginx.workers()
        time.sleep(8 * INTERVAL)
        self.assertEqual((self.nginx.reloads(), self.nginx.workers()), (reloads, workers))
        self.ended_well()
        self.keep([each.port for each in replicas])  # nor by the next start
        time.sleep(8 * INTERVAL)
        self.assertEqual((self.nginx.reloads(), self.nginx.workers()), (reloads, workers))
        replicas[0].say("starting")
        self.wait_for({replicas[0].port: "1", replicas[1].port: "5"})
        self.wait_reloads(reloads + 1)
        harness.wait_until(lambda: not workers & self.nginx.workers(), "new workers")

    def test_fifty_that_leave_at_once_are_one_reload(self):
        replicas = self.start(60, interval=4 * INTERVAL)
        reloads = self.nginx.reloads()
        asked = [each.asked for each in replicas]
        # Behind one look and before the next.
        harness.wait_until(lambda: all(each.asked > before for each, before
                                       in zip(replicas, asked)), "a look at all")
        for each in replicas[:50]:
            each.say("draining")
        self.wait_for({each.port: "down" if at < 50 else "5" for at, each in enumerate(replicas)})
        self.wait_reloads(reloads + 1)
        for each in replicas[:50]:
            each.end()  # they have left
        time.sleep(16 * INTERVAL)
        self.assertEqual(self.nginx.reloads(), reloads + 1)

    def test_answers_that_are_no_warmth_are_no_answers(self):
        replicas = self.start(6)
        replicas[0].answer = "x" * 100_000
        replicas[1].answer = "{"
        replicas[2].say("sideways")
        replicas[3].status = 500
        replicas[4].say("failed")
        self.wait_for({each.port: "5" if at == 5 else "down" for at, each in enumerate(replicas)})
        self.assertIsNone(self.keeper.process.poll())

    def test_one_that_answers_every_second_time_costs_no_reload(self):
        replicas = self.start(2)
        reloads, asked = self.nginx.reloads(), replicas[0].asked
        replicas[0].flaps = True
        harness.wait_until(lambda: replicas[0].asked >= asked + 12, "twelve looks")
        self.assertEqual((self.nginx.reloads(), self.nginx.weights()[replicas[0].port]),
                         (reloads, "5"))

    def test_one_that_hangs_delays_no_other(self):
        replicas = self.start(3)
        replicas[0].gate.clear()
        replicas[1].say("draining")
        began = time.monotonic()
        self.wait_for({replicas[0].port: "down", replicas[1].port: "down", replicas[2].port: "5"})
        self.assertLess(time.monotonic() - began, 15 * harness.SLOWNESS)  # it hangs for 60 s
        replicas[0].gate.set()
        self.wait_for({replicas[0].port: "5", replicas[1].port: "down", replicas[2].port: "5"})

    def test_a_configuration_that_nginx_refuses_leaves_the_old_file(self):
        replicas = self.start(2)
        old, reloads = self.nginx.upstream.read_text(), self.nginx.reloads()
        broken = self.nginx.path / "broken.conf"
        broken.write_text("nonsense here;\n")
        replicas[0].say("draining")
        harness.wait_until(lambda: 'unknown directive "nonsense"' in self.keeper.log(), "a reason")
        harness.wait_until(lambda: self.nginx.upstream.read_text() == old, "the old file")
        self.assertEqual(self.nginx.reloads(), reloads)
        self.assertIsNone(self.nginx.process.poll())
        broken.unlink()
        self.wait_for({replicas[0].port: "down", replicas[1].port: "5"})
        self.wait_reloads(reloads + 1)
        self.ended_well()
        self.assertEqual(sorted(each.name for each in self.nginx.path.glob("upstream*")),
                         ["upstream.conf"])

    def test_who_was_killed_in_the_middle_is_put_right_by_the_next(self):
        replicas = self.start(1)
        reloads = self.nginx.reloads()
        self.keeper.process.kill()
        self.keeper.process.wait()
        good = self.nginx.upstream.read_text()
        before = Path(str(self.nginx.upstream) + ".before")
        before.write_text(good)
        self.nginx.upstream.write_text("upstream baozi {")
        self.keep([each.port for each in replicas])
        self.wait_reloads(reloads + 1)
        self.assertEqual(self.nginx.upstream.read_text(), good)

    def test_a_file_that_another_has_changed_is_written_anew(self):
        replicas = self.start(1)
        self.nginx.upstream.write_text("")
        self.wait_for({replicas[0].port: "5"})
        self.assertIn("was changed by another", self.keeper.log())

    def test_a_name_stands_for_its_addresses(self):
        replica = self.pretend(1)[0]
        self.nginx.upstream.write_text("upstream baozi { server 127.0.0.1:9; }\n")
        self.nginx.start()
        self.keep([replica.port], "--names-every", 0.2, host="localhost")
        self.wait_for({replica.port: "5"})
        self.assertIn(f"server 127.0.0.1:{replica.port} ", self.nginx.upstream.read_text())

    def test_a_name_that_nobody_knows_leaves_the_file(self):
        self.nginx.upstream.write_text("old")
        self.keep([8000], "--names-every", 0.2, host="nobody.invalid")
        harness.wait_until(lambda: self.keeper.log().count("nobody.invalid is not resolved") > 1,
                           "a warning")
        self.assertEqual(self.nginx.upstream.read_text(), "old")
        self.ended_well()

    def test_once_is_one_look(self):
        replica = self.pretend(1)[0]
        arguments = ["nginx", "--once", "--replica", f"{harness.HOST}:{replica.port}", "--output",
                     str(self.nginx.upstream), "--test-command", self.nginx.test_command]
        unreloaded = steer(*arguments, "--reload-command", "false")
        self.assertEqual(unreloaded.returncode, 1)
        self.assertIn("was not reloaded", unreloaded.stderr)
        done = steer(*arguments, "--reload-command", "true")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.nginx.weights(), {replica.port: "5"})
        same = steer(*arguments, "--reload-command", "false")  # nothing to reload
        self.assertEqual(same.returncode, 0, same.stderr)
        shown = steer(*arguments, "--dry-run")
        self.assertEqual((shown.returncode, shown.stdout),
                         (0, self.nginx.upstream.read_text()))


class CommandLineTest(unittest.TestCase):
    def test_what_is_wrong_is_said(self):
        good = ["--replica", "a:8000", "--output", "/tmp/nowhere/up.conf"]
        for status, words, said in (
                (2, [], "--replica"),
                (1, ["--replica", "a:8000"], "--output"),
                (1, ["--replica", "a;b:1", "--output", "x"], "HOST:PORT"),
                (1, [*good, "--replica", "a:8000"], "twice"),
                (1, [*good, "--upstream", "a b"], "--upstream"),
                (1, [*good, "--test-command", "nginx -t; true"], "without a shell"),
                (1, [*good, "--reload-command", ""], "1 to 64 words"),
                (2, [*good, "--interval", "0"], "--interval"),
                (2, [*good, "--looks", "0"], "--looks"),
                (2, [*good, "--reload-every", "x"], "--reload-every"),
                (1, [*good, "--log-level", "loud"], "loud"),
                (1, ["--replica", "a:8000", "--output", "/tmp"], "is a folder")):
            with self.subTest(words):
                refused = steer("nginx", *words)
                self.assertEqual((refused.returncode, refused.stdout), (status, ""),
                                 refused.stderr)
                self.assertIn(said, refused.stderr)

    def test_the_example_is_taken_by_nginx(self):
        nginx = Nginx(free_port())
        self.addCleanup(nginx.end)
        nginx.upstream.write_text("upstream bun { server 127.0.0.1:9; }\n")
        example = steer("nginx", "--example", "--upstream", "bun", "--output", str(nginx.upstream))
        self.assertEqual(example.returncode, 0, example.stderr)
        (nginx.path / "nginx.conf").write_text("pid nginx.pid;\n" + example.stdout)
        tested = subprocess.run([*nginx.words, "-t"], capture_output=True, text=True)
        self.assertEqual(tested.returncode, 0, tested.stderr)

    def test_the_example_refuses_a_path_that_means_something(self):
        refused = steer("nginx", "--example", "--output", 'a";')
        self.assertEqual(refused.returncode, 1)
        self.assertIn("--output", refused.stderr)


if __name__ == "__main__":
    harness.main()
