"""The config's published schema, the parser, and the table in docs/serve.md agree."""

import json
import re
import tempfile
import unittest
from pathlib import Path

import jsonschema
import yaml

import harness

SCHEMA = json.loads((harness.ROOT / "docs/config.schema.json").read_text())

# Every key once, with a value that both take.
EVERYTHING = """
http: {host: 127.0.0.1, port: 0, body_bytes_max: 1000000, connections_max: 100,
       head_timeout_ms: 1000, idle_timeout_ms: 2000, drain_timeout_ms: 0}
hold: {requests_max: 10, timeout_ms: 500}
fleet: {agent: {host: 127.0.0.1, port: 0}, connections_max: 10, drain_delay_ms: 1000,
        load_reports: always}
memory_bytes_max: 1000000000
loads_max: 2
reload_ms: 1000
start_record: "off"
cpu_threads: 2
log_level: warning
requests_max: 500
prepared: {folder: artefacts, bytes_max: 1000000}
plugins: []
cache: {bytes_max: 1000000, redis: "redis://:secret@127.0.0.1:7000/2", redis_timeout_ms: 5,
        redis_pull_max: 10, redis_pull_bytes_max: 1000000}
models:
  - path: bun.fake
    name: steamed
    engine: fake
    instances: 2
    threads: 1
    batch: {policy: delay, max: 8, delay_us: 500}
    queue_max: 10
    cache: {ttl_s: 30}
    pad: {input: 0}
    labels: labels.txt
    optimization_level: 1
    session_config: {session.intra_op.allow_spinning: "0"}
    layers: 4
    memory_bytes_max: 1000000000
    load: on_demand
    pin: true
    sleep_after_s: 60
    versions: {latest: 2, labels: {stable: 1, canary: "2"}, change_over: spare_memory}
    language: {answers_max: 4, context: 2048, window: 1024, batch: 256, threads: 2, kv: q8_0,
               mmap: true, mlock: false, stall_ms: 100, prefixes: "off", offload_bytes_max: 0,
               chat_template: chat.jinja, guess: 8,
               adapters: [{name: pirate, path: pirate.gguf, scale: 0.5}],
               prefixes_bytes_max: 1000000}
    warmup: {enabled: true, samples: tea.json, budget_ms: 100, tolerance: 0.01, record: true,
             redact: zero}
    providers: []
  - {path: bun.fake, name: fried, instances: {min: 1, max: 4, shrink_after_ms: 1000}}
pipelines: []
cascades:
  - {name: both, small: steamed, large: fried, threshold: 0.8, output: output, logits: true,
     fall_back: true}
"""

GOOD = {
    "everything": EVERYTHING,
    "least": "models: [{path: bun.fake}]",
    "growing instances": "models: [{path: bun.fake, instances: {max: 2}}]",
    "policies": "models: [{path: bun.fake, batch: {policy: size, max: 4096}}]",
    "pad": "models: [{path: bun.fake, pad: {input: -1.5}}]",
    "all versions": "models: [{path: bun.fake, versions: {all: true}}]",
    "some versions": "models: [{path: bun.fake, versions: {specific: [1, '3']}}]",
    "a cache": "models: [{path: bun.fake, cache: true}]",
    "no cache": "models: [{path: bun.fake, cache: false}]",
    "a pipeline's cache": "models: [{path: bun.fake}]\n"
                          "pipelines: [{type: classify, cache: {}, options: {model: bun}}]",
}

TWO = "models: [{path: bun.fake, name: a}, {path: bun.fake, name: b}]\n"

# What is wrong, and what the parser's message must hold besides the place.
BAD = {
    "unknown key": ("modles: [{path: bun.fake}]", "did you mean 'models'"),
    "unknown key in http": ("http: {prot: 1}\nmodels: [{path: bun.fake}]", "did you mean 'port'"),
    "unknown key in a model": ("models: [{path: bun.fake, instence: 1}]", "instances"),
    "unknown key in batch": ("models: [{path: bun.fake, batch: {maxx: 1}}]", "max"),
    "unknown key in a pipeline": ("pipelines: [{type: classify, optoins: {}}]", "options"),
    "unknown key in a provider": (
        "models: [{path: bun.fake, providers: [{name: cpu, lib: x}]}]", "library"),
    "no version": ("models: [{path: bun.fake, versions: {specific: []}}]", "no version"),
    "two policies": ("models: [{path: bun.fake, versions: {latest: 1, specific: [1]}}]", "not two"),
    "no latest": ("models: [{path: bun.fake, versions: {latest: 0}}]", "1"),
    "a change-over": ("models: [{path: a.fake, versions: {change_over: x}}]", "keep_serving"),
    "when to load": ("models: [{path: a.fake, load: never}]", "on_demand"),
    "a negative hold": ("hold: {requests_max: -1}\nmodels: [{path: bun.fake}]", "10000000"),
    "an agent's port": ("fleet: {agent: {port: 65536}}\nmodels: [{path: bun.fake}]", "65535"),
    "unknown key in fleet": ("fleet: {agents: {}}\nmodels: [{path: bun.fake}]", "agent"),
    "load reports": ("fleet: {load_reports: often}\nmodels: [{path: bun.fake}]", "on_request"),
    "a negative delay": ("fleet: {drain_delay_ms: -1}\nmodels: [{path: bun.fake}]", "86400000"),
    "no path": ("models: [{name: x}]", "path"),
    "no type": ("pipelines: [{name: x}]", "type"),
    "nothing": ("http: {port: 1}", "nothing to serve"),
    "nothing in lists": ("models: []\npipelines: []", "nothing to serve"),
    "port": ("http: {port: 65536}\nmodels: [{path: bun.fake}]", "65535"),
    "negative": ("models: [{path: bun.fake, instances: -1}]", "1024"),
    "bounds without an end": ("models: [{path: bun.fake, instances: {min: 2}}]", "'max'"),
    "no instance at least": ("models: [{path: bun.fake, instances: {min: 0, max: 2}}]", "1"),
    "too many instances": ("models: [{path: bun.fake, instances: {max: 257}}]", "256"),
    "an unknown bound": ("models: [{path: bun.fake, instances: {max: 2, most: 3}}]", "most"),
    "a list of instances": ("models: [{path: bun.fake, instances: [1, 2]}]", "whole number"),
    "no number": ("models: [{path: bun.fake, instances: many}]", "whole number"),
    "a fraction": ("models: [{path: bun.fake, threads: 1.5}]", "whole number"),
    "a choice": ("models: [{path: bun.fake, batch: {policy: eager}}]", "adaptive"),
    "log level": ("log_level: loud\nmodels: [{path: bun.fake}]", "info"),
    "unknown key in a cache": ("models: [{path: bun.fake, cache: {tll_s: 1}}]", "ttl_s"),
    "a cache's words": ("models: [{path: bun.fake, cache: always}]", "true or false"),
    "a cache for no time": ("models: [{path: bun.fake, cache: {ttl_s: 0}}]", "between 1"),
    "another store": (
        "cache: {redis: 'http://127.0.0.1'}\nmodels: [{path: bun.fake}]", "redis://"),
    "a long wait": ("cache: {redis_timeout_ms: 9999}\nmodels: [{path: bun.fake}]", "1000"),
    "unknown key in language": ("models: [{path: a.gguf, language: {ctx: 1}}]", "context"),
    "an adapter without a file": (
        "models: [{path: a.gguf, language: {adapters: [{name: x}]}}]", "path"),
    "a scale": (
        "models: [{path: a.gguf, language: {adapters: [{name: x, path: y, scale: big}]}}]",
        "a number from -100 to 100"),
    "no boolean": ("models: [{path: a.gguf, language: {mmap: 1}}]", "true or false"),
    "unknown key in warmup": ("models: [{path: bun.fake, warmup: {budget: 1}}]", "budget_ms"),
    "a budget": ("models: [{path: bun.fake, warmup: {budget_ms: -1}}]", "3600000"),
    "a list": ("models: {path: bun.fake}", "list"),
    "a mapping": ("http: 8000\nmodels: [{path: bun.fake}]", "mapping"),
    "pad's words": ("models: [{path: bun.fake, pad: {input: zero}}]", "number"),
    "a cascade of one": (TWO + "cascades: [{name: c, small: a}]", "large"),
    "a cascade without a name": (TWO + "cascades: [{small: a, large: b}]", "name"),
    "a threshold": (
        TWO + "cascades: [{name: c, small: a, large: b, threshold: 1.5}]", "from 0 to 1"),
    "a negative threshold": (
        TWO + "cascades: [{name: c, small: a, large: b, threshold: -0.1}]", "from 0 to 1"),
    "logits without a threshold": (
        TWO + "cascades: [{name: c, small: a, large: b, logits: true}]", "'threshold'"),
    "unknown key in a cascade": (
        TWO + "cascades: [{name: c, small: a, large: b, treshold: 1}]", "threshold"),
    "options' lists": ("pipelines: [{type: classify, options: {model: [a]}}]", "single value"),
}


def schema_takes(text):
    try:
        jsonschema.validate(yaml.safe_load(text), SCHEMA, jsonschema.Draft202012Validator)
    except jsonschema.ValidationError:
        return False
    return True


class ConfigTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="baozi-test-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "bun.fake").write_text("{}")
        (self.folder / "labels.txt").write_text("bun\n")

    def inspect(self, text):
        path = self.folder / "baozi.yaml"
        path.write_text(text)
        return path, harness.run("inspect", path)

    def test_the_schema_is_one(self):
        jsonschema.Draft202012Validator.check_schema(SCHEMA)

    def test_the_demos_config(self):
        self.assertTrue(schema_takes((harness.ROOT / "tools/demo/demo.yaml").read_text()))

    def test_good_files(self):
        for name, text in GOOD.items():
            with self.subTest(name):
                self.assertTrue(schema_takes(text))
                _, done = self.inspect(text)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_bad_files(self):
        for name, (text, word) in BAD.items():
            with self.subTest(name):
                self.assertFalse(schema_takes(text), "the schema takes it")
                path, done = self.inspect(text)
                self.assertEqual(done.returncode, 1, done.stderr)
                place = re.search(re.escape(str(path)) + r":(\d+):(\d+): ", done.stderr)
                self.assertTrue(place, done.stderr)
                self.assertLessEqual(int(place[1]), text.count("\n") + 1)
                self.assertIn(word, done.stderr)

    def test_the_place_of_a_typo(self):
        path, done = self.inspect("models:\n  - path: bun.fake\n    instnaces: 2\n")
        self.assertIn(f"{path}:3:5: models[0]: unknown key 'instnaces'", done.stderr)
        path, done = self.inspect("models:\n  - path: [bun\n")
        self.assertRegex(done.stderr, re.escape(str(path)) + r":\d+:\d+: not valid YAML")

    def test_serve_says_the_same(self):
        path, _ = self.inspect("models:\n  - path: bun.fake\n    instnaces: 2\n")
        done = harness.run("serve", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{path}:3:5:", done.stderr)

    def test_bounds_the_wrong_way_round(self):
        path, done = self.inspect("models:\n- path: bun.fake\n"
                                  "  instances: {min: 3, max: 2}\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{path}:3:23: ", done.stderr)
        self.assertIn("'max' is 2, but must be at least 'min', which is 3", done.stderr)

    def test_two_of_one_name(self):
        _, done = self.inspect("models: [{path: bun.fake}, {path: bun.fake}]")
        self.assertEqual(done.returncode, 1)
        self.assertIn("'bun'", done.stderr)
        _, done = self.inspect("models: [{path: a.gguf, language: {adapters: [{name: x, path: y}, "
                               "{name: x, path: z}]}}]")
        self.assertEqual(done.returncode, 1)
        self.assertIn("two adapters 'x'", done.stderr)

    def test_cascades_that_lead_nowhere(self):
        for cascades, word in (
                ("[{name: c, small: a, large: a}]", "are the same, 'a'"),
                ("[{name: c, small: a, large: x}]", "'x', which is not served; there are: a, b, c"),
                ("[{name: a, small: a, large: b}]", "called 'a'"),
                ("[{name: c, small: a, large: b}, {name: c, small: a, large: b}]", "called 'c'"),
                ("[{name: c, small: a, large: c}]", "'c' leads back to itself"),
                ("[{name: c, small: a, large: d}, {name: d, small: c, large: b}]",
                 "'c' leads back to itself"),
                ("[{name: c, small: a, large: b}]\n"
                 "pipelines: [{type: classify, name: p, cache: true, options: {model: c}}]",
                 "pipeline 'p' has a 'cache' and uses a cascade")):
            with self.subTest(cascades):
                path, done = self.inspect(TWO + "cascades: " + cascades)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(str(path), done.stderr)
                self.assertIn(word, done.stderr)


def leaves(schema, place=""):
    """(key, default) of every scalar or list setting, as docs/serve.md writes keys."""
    for key, entry in schema.get("properties", {}).items():
        name = f"{place}{key}"
        if "$ref" in entry:
            entry = SCHEMA["$defs"][entry["$ref"].rpartition("/")[2]]
        items = entry.get("items", {})
        if entry.get("properties"):
            yield from leaves(entry, f"{name}.")
        elif items.get("properties"):
            yield from leaves(items, f"{name}[].")
        else:
            yield name, entry.get("default")


class DocumentTest(unittest.TestCase):
    def test_the_table_lists_every_key_with_its_default(self):
        text = (harness.ROOT / "docs/serve.md").read_text()
        rows = dict(re.findall(r"^\| `([^`]+)` \|([^|]*)\|", text, re.MULTILINE))
        keys = dict(leaves(SCHEMA))
        self.assertGreater(len(keys), 25)
        for key, default in keys.items():
            with self.subTest(key):
                self.assertTrue(key in rows, f"no row for {key}")
                if default is not None:
                    self.assertEqual(rows[key].strip(" `"),
                                     default if isinstance(default, str) else json.dumps(default))
        settings = {key for key in rows if re.match(r"[a-z_]+(\[\])?(\.|$)", key) and
                    key.split(".")[0].split("[")[0] in SCHEMA["properties"]}
        self.assertEqual(settings - set(keys), set(), "keys that there are not")

    def test_every_option_of_the_built_in_pipelines_is_described(self):
        text = (harness.ROOT / "docs/pipelines.md").read_text()
        described = {name for row in re.findall(r"^\|((?: `\w+`,?)+) \|", text, re.MULTILINE)
                     for name in re.findall(r"`(\w+)`", row)}
        sources = (harness.ROOT / "baozi/pipeline/builtin").glob("*.cc")
        lists = re.findall(r"check_options\(\s*\{([^}]*)\}",
                           "".join(path.read_text() for path in sources))
        known = {name for each in lists for name in re.findall(r'"(\w+)"', each)}
        self.assertEqual(len(lists), 3)
        self.assertEqual(known, described)


if __name__ == "__main__":
    harness.main()
