"""Three replicas behind a real Envoy: one joins cold, one is ended, one is killed, one hangs. The
weights are those of the load reports."""

import signal
import unittest

import harness
from envoy_proxy import Envoy
from fleet_test import Load

HANG_SECONDS = 2 * harness.SLOWNESS
CONFIG = {"models": [{"path": "bun.fake", "instances": 4}],
          "fleet": {"load_reports": "always", "drain_delay_ms": 2000}}


class EnvoyTest(unittest.TestCase):
    def replica(self, **fake):
        server = harness.Server(CONFIG, files={"bun.fake": harness.fake(latency_us=5_000, **fake)})
        self.addCleanup(server.end)
        self.addCleanup(server.process.kill)  # what a test did not end need not drain
        return server

    def fleet(self, *replicas):
        self.envoy = Envoy([each.port for each in replicas], HANG_SECONDS)
        self.addCleanup(self.envoy.end)
        return self.envoy

    def hot(self, count):
        replicas = [self.replica() for _ in range(count)]
        for each in replicas:
            each.wait_ready()
        return replicas

    def wait_flag(self, replica, flag):
        return harness.wait_until(
            lambda: flag in self.envoy.hosts()[replica.port]["health_flags"], flag)

    def weights(self):
        return [int(each["weight"]) for each in self.envoy.hosts().values()]

    def test_the_weights_are_those_of_the_load_reports(self):
        envoy = self.fleet(*self.hot(3))
        self.assertEqual(self.weights(), [1, 1, 1])
        with Load(envoy.port) as load:
            harness.wait_until(lambda: min(self.weights()) > 1, "weights")
        self.assertEqual(load.failures, [])
        self.assertNotIn("onOrcaLoadReport failed", envoy.log())

    def test_a_cold_replica_is_spared_until_it_is_hot(self):
        cold = self.replica(load_ms=6000 * harness.SLOWNESS)
        envoy = self.fleet(*self.hot(2), cold)
        self.wait_flag(cold, "degraded")
        with Load(envoy.port) as load:
            load.go_on(200)
            self.assertEqual(envoy.hosts()[cold.port]["rq_total"], "0")
            self.assertEqual(cold.get("/v2/warmth").body["state"], "starting")
            self.wait_flag(cold, "healthy")
            harness.wait_until(lambda: envoy.hosts()[cold.port]["rq_total"] != "0", "a request")
        self.assertEqual(load.failures, [])

    def test_a_replica_that_ends_is_left_before_it_goes(self):
        replicas = self.hot(3)
        envoy = self.fleet(*replicas)
        with Load(envoy.port) as load:
            load.go_on(50)
            replicas[0].process.terminate()
            self.wait_flag(replicas[0], "excluded_via_immediate_hc_fail")
            self.assertIsNone(replicas[0].process.poll(), "it was not out before it went")
            self.assertEqual(replicas[0].process.wait(60 * harness.SLOWNESS), 0)
            load.go_on(50)
        self.assertEqual(load.failures, [])

    def test_a_killed_replica_is_not_seen(self):
        replicas = self.hot(3)
        envoy = self.fleet(*replicas)
        with Load(envoy.port) as load:
            load.go_on(50)
            replicas[1].process.kill()
            load.go_on(50)
            self.wait_flag(replicas[1], "failed_active_hc")
            load.go_on(50)
        self.assertEqual(load.failures, [])

    def test_a_hung_replica_is_late_and_no_error_and_comes_back(self):
        replicas = self.hot(3)
        envoy = self.fleet(*replicas)
        with Load(envoy.port) as load:
            load.go_on(50)
            replicas[2].process.send_signal(signal.SIGSTOP)
            try:
                self.wait_flag(replicas[2], "failed_active_hc")
                load.go_on(100)
            finally:
                replicas[2].process.send_signal(signal.SIGCONT)
            self.wait_flag(replicas[2], "healthy")
            load.go_on(50)
        self.assertEqual(load.failures, [])


if __name__ == "__main__":
    harness.main()
