"""The Helm chart and the plain manifests: rendered by Helm, validated against Kubernetes' schemas,
and held against what a real baozi answers and accepts."""

import functools
import importlib.util
import json
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import harness
import jsonschema
import yaml

DEPLOY = harness.ROOT / "deploy"
CHART = DEPLOY / "helm/baozi"
HELM = harness.CACHE / "helm/bin/helm"
VERSIONS = ("1.25", "1.30", "1.34")
# Its schemas only; its code wants a newer jsonschema than is needed for them.
SCHEMAS = Path(importlib.util.find_spec("kubernetes_validate").origin).parent \
    / "kubernetes-json-schema"
GROUPS = {"apps/v1": "-apps-v1", "v1": "-v1", "policy/v1": "-policy-v1",
          "autoscaling/v2": "-autoscaling-v2"}
# Of KEDA's documentation, "ScaledObject specification" and "Prometheus scaler".
KEDA_SPEC = {"scaleTargetRef", "pollingInterval", "cooldownPeriod", "minReplicaCount",
             "maxReplicaCount", "advanced", "triggers"}
KEDA_PROMETHEUS = {"serverAddress", "query", "threshold", "activationThreshold",
                   "ignoreNullValues"}
# Values that turn on what is off by default, each rendered and validated.
OPTIONS = {
    "defaults": {},
    "redis": {"redis": {"enabled": True}},
    "a redis that is there": {"redis": {"url": "redis://cache:6379/0"}, "configInSecret": True},
    "keda": {"hpa": {"enabled": False}, "keda": {"enabled": True}},
    "neither": {"hpa": {"enabled": False}, "replicas": 3},
    "queue only": {"hpa": {"cpuUtilization": 0}},
    "agent": {"agent": {"enabled": True}},
    "digest": {"image": {"digest": "sha256:" + "a" * 64}},
    "volumes": {"extraVolumes": [{"name": "models", "emptyDir": {}}],
                "extraVolumeMounts": [{"name": "models", "mountPath": "/models"}],
                "prepared": {"volume": {"persistentVolumeClaim": {"claimName": "prepared"}}}},
    "scheduling": {"nodeSelector": {"kubernetes.io/arch": "amd64"}, "priorityClassName": "high",
                   "tolerations": [{"key": "gpu", "operator": "Exists"}], "spread": False,
                   "resources": {"requests": {"cpu": "4", "memory": "8Gi"},
                                 "limits": {"nvidia.com/gpu": 1}}},
    "labels": {"podLabels": {"team": "buns"}, "podAnnotations": {"a": "b"},
               "imagePullSecrets": [{"name": "mine"}], "env": [{"name": "A", "value": "b"}]},
    "names": {"fullnameOverride": "buns"},
}
REFUSED = {
    "a typo": ({"hpa": {"enable": True}}, "enable"),
    "both scalers": ({"keda": {"enabled": True}}, "hpa.enabled and keda.enabled"),
    "two redis": ({"redis": {"enabled": True, "url": "redis://x"}}, "redis.url"),
    "a url that is none": ({"redis": {"url": "cache:6379"}}, "redis"),
    "min above max": ({"hpa": {"minReplicas": 11}}, "hpa.minReplicas (11)"),
    "nothing to scale by": ({"hpa": {"cpuUtilization": 0, "queueLength": 0}}, "hpa.queueLength"),
    "no cpu request": ({"resources": {"requests": {"cpu": None}}}, "resources.requests.cpu"),
    "nothing to serve": ({"models": [], "pipelines": []}, "set models"),
    "a model without a path": ({"models": [{"name": "x"}]}, "path"),
    "a key with a value of its own": ({"config": {"models": []}}, "config.models"),
    "a port": ({"port": 70000}, "port"),
    "a digest": ({"image": {"digest": "sha256:1"}}, "digest"),
}


def helm(*words, values=None):
    if not HELM.exists():
        raise AssertionError(f"{HELM} is missing; run `make setup`")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values or {}, file)
        file.flush()
        return subprocess.run([str(HELM), *map(str, words), "-f", file.name], capture_output=True,
                              text=True, timeout=60)


def rendered(values=None, version="1.30"):
    done = helm("template", "bun", CHART, "--namespace", "kitchen", "--kube-version",
                version + ".0", values=values)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(documents, kind, name=None):
    found = [each for each in documents
             if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    return found[0] if found else None


@functools.cache
def definitions(version):
    return json.loads((SCHEMAS / f"v{version}.0-local-strict/_definitions.json").read_text())


def validator_of(version, schema):
    # Where the schemas say that their definitions are.
    store = {"https://kubernetes.io/api/_definitions.json": definitions(version)}
    resolver = jsonschema.RefResolver("", schema, store=store)
    return jsonschema.Draft7Validator(schema, resolver=resolver)


def validate(document, version):
    """Against Kubernetes' own schema, which knows every key."""
    folder = SCHEMAS / f"v{version}.0-local-strict"
    kind = document["kind"].lower() + GROUPS[document["apiVersion"]]
    schema = json.loads((folder / f"{kind}.json").read_text())
    validator_of(version, schema).validate(document)


class ChartTest(unittest.TestCase):
    def test_helm_finds_no_fault(self):
        done = helm("lint", "--strict", CHART, "--kube-version", "1.30.0")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_what_is_rendered_is_valid(self):
        for name, values in OPTIONS.items():
            for version in VERSIONS:
                documents = rendered(values, version)
                self.assertTrue(of_kind(documents, "Deployment"))
                for document in documents:
                    with self.subTest(name, version=version, kind=document["kind"]):
                        if document["kind"] != "ScaledObject":
                            validate(document, version)

    def test_a_manifest_with_a_typo_is_not_valid(self):
        deployment = of_kind(rendered(), "Deployment")
        deployment["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
        with self.assertRaises(jsonschema.ValidationError):
            validate(deployment, "1.30")

    def test_values_that_cannot_be_are_refused(self):
        for name, (values, word) in REFUSED.items():
            with self.subTest(name):
                done = helm("template", "bun", CHART, "--kube-version", "1.30.0", values=values)
                self.assertNotEqual(done.returncode, 0, done.stdout)
                self.assertIn(word, done.stderr)

    def test_selectors_find_the_pods_and_nothing_else(self):
        for values in ({"redis": {"enabled": True}, "agent": {"enabled": True}},):
            documents = rendered(values)
            pods = {each["metadata"]["name"]: each["spec"]["template"]["metadata"]["labels"]
                    for each in documents if each["kind"] == "Deployment"}
            for document in documents:
                if document["kind"] not in ("Deployment", "Service", "PodDisruptionBudget"):
                    continue
                selector = document["spec"]["selector"]
                selector = selector.get("matchLabels", selector)
                found = [name for name, labels in pods.items()
                         if selector.items() <= labels.items()]
                wanted = "bun-baozi-redis" if "redis" in document["metadata"]["name"] \
                    else "bun-baozi"
                self.assertEqual(found, [wanted], document["metadata"]["name"])

    def test_the_number_of_replicas_is_one_things_to_decide(self):
        self.assertNotIn("replicas", of_kind(rendered(), "Deployment")["spec"])
        alone = rendered(OPTIONS["neither"])
        self.assertEqual(of_kind(alone, "Deployment")["spec"]["replicas"], 3)
        self.assertIsNone(of_kind(alone, "HorizontalPodAutoscaler"))

    def test_the_hpa_scales_by_cpu_and_by_the_adapters_metric(self):
        spec = of_kind(rendered(), "HorizontalPodAutoscaler")["spec"]
        self.assertEqual((spec["minReplicas"], spec["maxReplicas"]), (2, 10))
        cpu, queue = spec["metrics"]
        self.assertEqual(cpu["resource"]["target"]["averageUtilization"], 70)
        self.assertEqual(queue["pods"]["target"], {"type": "AverageValue", "averageValue": "100"})
        rule = yaml.safe_load((DEPLOY / "prometheus-adapter-values.yaml").read_text())["rules"][
            "custom"][0]
        self.assertEqual(queue["pods"]["metric"]["name"], rule["name"]["as"])
        self.assertEqual(set(rule["resources"]["overrides"]), {"namespace", "pod"})
        series = re.match(r"\w+", rule["seriesQuery"])[0]
        self.assertRegex(series, rule["name"]["matches"])
        self.assertIn(f"| `{series}` | gauge |", (harness.ROOT / "docs/operations.md").read_text())

    def test_keda_has_the_fields_of_its_documentation(self):
        scaled = of_kind(rendered(OPTIONS["keda"]), "ScaledObject")
        self.assertEqual(scaled["apiVersion"], "keda.sh/v1alpha1")
        self.assertLessEqual(set(scaled["spec"]), KEDA_SPEC)
        self.assertEqual(scaled["spec"]["scaleTargetRef"]["name"], "bun-baozi")
        prometheus, cpu = scaled["spec"]["triggers"]
        self.assertEqual(prometheus["type"], "prometheus")
        self.assertEqual(set(prometheus["metadata"]), KEDA_PROMETHEUS)
        for value in prometheus["metadata"].values():
            self.assertIsInstance(value, str)
        self.assertIn("baozi_queue_length", prometheus["metadata"]["query"])
        self.assertIn('namespace="kitchen"', prometheus["metadata"]["query"])
        self.assertEqual((cpu["type"], cpu["metadata"]["value"]), ("cpu", "70"))

    def test_a_pod_may_take_as_long_to_end_as_it_needs(self):
        for version, sleep in (("1.30", 5), ("1.25", 0)):
            documents = rendered(version=version)
            pod = of_kind(documents, "Deployment")["spec"]["template"]["spec"]
            config = yaml.safe_load(of_kind(documents, "ConfigMap")["data"]["baozi.yaml"])
            needed = (config["fleet"]["drain_delay_ms"] + config["http"]["drain_timeout_ms"]) / 1000
            self.assertGreater(pod["terminationGracePeriodSeconds"], needed + sleep)
            hook = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {})
            self.assertEqual(hook.get("seconds", 0), sleep)

    def test_the_plain_manifests_are_the_charts(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "baozi.yaml")
            subprocess.run([str(DEPLOY / "render.sh"), str(path)], check=True, timeout=60,
                           env={**harness.ENVIRONMENT, "HELM": str(HELM)})
            self.assertEqual(path.read_text(), (DEPLOY / "kubernetes/baozi.yaml").read_text(),
                             "run deploy/render.sh")


class RealTest(unittest.TestCase):
    """What is rendered, and a real server."""

    def config(self, values, folder):
        documents = rendered(values)
        source = of_kind(documents, "Secret") or of_kind(documents, "ConfigMap")
        config = yaml.safe_load((source.get("data") or source["stringData"])["baozi.yaml"])
        config["prepared"]["folder"] = folder
        return of_kind(documents, "Deployment"), config

    def test_the_config_is_accepted_and_the_probes_are_answered(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        deployment, config = self.config(
            {"models": [{"path": harness.model("minilm"), "cache": True, "instances": 1}],
             "agent": {"enabled": True, "port": 18100}, "redis": {"url": "redis://127.0.0.1:1"},
             "config": {"memory_bytes_max": 4_000_000_000, "log_level": "debug"}}, folder.name)
        self.assertEqual(config["memory_bytes_max"], 4_000_000_000)
        config["fleet"].update({"agent": {"port": 0}, "drain_delay_ms": 0})
        server = harness.Server(config, "--host", harness.HOST)
        self.addCleanup(server.end)
        server.wait_ready()
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = container[probe]["httpGet"]["path"]
            self.assertEqual(server.get(path).status, 200, probe)
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        self.assertEqual(server.get(annotations["prometheus.io/path"]).status, 200)

    def test_only_readiness_waits_for_the_models(self):
        server = harness.Server({"models": [{"path": "slow.fake"}]},
                                files={"slow.fake": harness.fake(load_ms=30_000)})
        self.addCleanup(server.end)
        container = of_kind(rendered(), "Deployment")["spec"]["template"]["spec"]["containers"][0]
        status = {probe: server.get(container[probe]["httpGet"]["path"]).status
                  for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
        self.assertEqual(status, {"startupProbe": 200, "readinessProbe": 503,
                                  "livenessProbe": 200})


class ImageTest(unittest.TestCase):
    """The Dockerfile, as far as it can be tried without a daemon that builds it."""

    def setUp(self):
        text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
        self.lines = [line.split(maxsplit=1) for line in text.splitlines()
                      if line and not line.startswith("#")]

    def test_stages_are_there_before_they_are_copied_from(self):
        known = {"models"}  # given on the command line
        for word, rest in self.lines:
            if word == "FROM" and " AS " in rest:
                known.add(rest.split()[-1])
            for stage in re.findall(r"--from=(\S+)", rest):
                self.assertIn(stage, known)

    def test_it_runs_as_the_user_of_the_chart(self):
        security = of_kind(rendered(), "Deployment")["spec"]["template"]["spec"]["securityContext"]
        user = f"{security['runAsUser']}:{security['runAsGroup']}"
        self.assertIn(["USER", user], self.lines)

    def test_what_it_runs_works(self):
        """The prepare stage and the entry point, with the chart's config and a folder that a
        server may not write to."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        store = Path(folder.name, "prepared")
        config = Path(folder.name, "baozi.yaml")
        config.write_text(yaml.safe_dump({"models": [{"path": harness.model("minilm")}]}))
        runs = " ".join(rest for word, rest in self.lines if word == "RUN")
        words = re.search(r"baozi (prepare /models/baozi.yaml --folder \S+)", runs)[1].split()
        self.assertEqual(words[3], of_kind(rendered(), "ConfigMap")["data"]["baozi.yaml"]
                         .split("folder: ")[1].split()[0])
        done = harness.run(words[0], config, words[2], store)
        self.assertEqual(done.returncode, 0, done.stderr)
        made = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
        self.assertTrue(made)
        server = harness.Server({"models": [{"path": harness.model("minilm")}],
                                 "prepared": {"folder": str(store)}})
        self.addCleanup(server.end)
        server.wait_ready()
        self.assertIn(["ENTRYPOINT", '["/opt/baozi/bin/baozi", "serve"]'], self.lines)
        self.assertEqual(server.terminate(), 0)
        again = {path for path in store.rglob("*") if path.is_file()}
        self.assertEqual(again, set(made), "nothing was prepared anew")

    def test_what_it_installs_runs_alone(self):
        built = harness.BAOZI.parents[1]
        if not (built / "cmake_install.cmake").exists():
            self.fail(f"{built} is no build folder")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        subprocess.run(["cmake", "--install", str(built), "--prefix", folder.name, "--component",
                        "runtime"], check=True, capture_output=True, timeout=300)
        done = subprocess.run([f"{folder.name}/bin/baozi", "inspect", harness.model("minilm")],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    harness.main()
