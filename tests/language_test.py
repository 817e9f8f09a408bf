"""A language model that serves many: shared beginnings, restarts, clients that leave, the same
words as llama.cpp alone."""

import contextlib
import json
import stat
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import harness
from lora_file import write_lora

GOLDEN = Path(__file__).parents[1] / "testdata/golden/smollm2_greedy.json"
WIDTH = 576  # numbers of SmolLM2-135M's embedding
# Some 300 tokens.
SYSTEM = " ".join(f"Rule {number}: bun number {number} is steamed for {number} minutes."
                  for number in range(1, 21))
PROMPTS = ("The capital of France is", "Once upon a time, a baker", "1, 2, 3, 4,")


def config(prefixes="off", **language):
    return {"models": [{"path": harness.model("smollm2"), "name": "bun", "queue_max": 64,
                        "language": {"context": 2048, "prefixes": str(prefixes), **language}}]}


def complete(server, prompt, tokens=8, **fields):
    answer = server.post("/v1/completions", {"prompt": prompt, "max_tokens": tokens,
                                             "temperature": 0, **fields})
    assert answer.status == 200, answer.body
    return answer.body


def cached(body):
    return body["usage"]["prompt_tokens_details"]["cached_tokens"]


def text(body):
    return body["choices"][0]["text"]


@contextlib.contextmanager
def serving(*arguments, **language):
    server = harness.Server(config(**language), *arguments)
    try:
        server.wait_ready()
        yield server
        status = server.terminate()
        assert status == 0, f"the server ended with {status}\n{server.log()}"
    finally:
        server.end()


class WordsTest(unittest.TestCase):
    def test_the_same_as_alone(self):
        for prompt in PROMPTS:
            with self.subTest(prompt), serving() as server:
                alone = harness.run("run", harness.model("smollm2"), prompt, "--raw",
                                    "--temperature", "0", "--max-tokens", "24")
                self.assertEqual(alone.returncode, 0, alone.stderr)
                self.assertEqual(text(complete(server, prompt, 24)).strip(), alone.stdout.strip())


    def test_the_golden_ones(self):
        """What llama.cpp says greedily, as far as each token was e times as likely as the next
        one: no processor's kernels, no batch and no order of cells change that."""
        golden = json.loads(GOLDEN.read_text())
        with serving(answers_max=4) as server, ThreadPoolExecutor(len(golden)) as pool:
            answers = pool.map(lambda each: complete(server, each["prompt"], each["tokens"]),
                               golden)
            for each, answer in zip(golden, answers):
                with self.subTest(each["prompt"]):
                    self.assertEqual(text(answer), each["text"])


class SharingTest(harness.ServerTest):
    config = config(answers_max=4)

    def test_a_new_prompt_of_several_is_computed_once(self):
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(
                lambda number: complete(self.server, f"{SYSTEM} How long is bun {number}?"),
                range(4)))
        computed = [answer["usage"]["prompt_tokens"] - cached(answer) for answer in answers]
        self.assertEqual(sum(count > 100 for count in computed), 1, computed)

    def test_a_past_that_made_room_for_others_goes_on(self):
        """The first conversation is offloaded while the second one is answered."""
        first = f"{SYSTEM} The capital of France is"
        # Two tokens: behind them are words that are all but equally likely, and what is computed
        # in other pieces differs in its last bits.
        said = text(complete(self.server, first, 2))
        complete(self.server, "Something else: 1, 2, 3, 4,")
        again = complete(self.server, first, 2)
        self.assertGreater(cached(again), 300)
        self.assertEqual(text(again), said)

    def test_a_client_that_leaves_frees_its_place(self):
        for _ in range(8):
            with self.server.socket() as connection:
                body = b'{"prompt": "Count: 1, 2", "max_tokens": 1000, "ignore_eos": true, ' \
                       b'"stream": true}'
                connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: "
                                   + str(len(body)).encode() + b"\r\n\r\n" + body)
                self.assertIn(b"200", connection.recv(100))
        harness.wait_until(self.idle, "the answers nobody reads end")
        self.assertTrue(text(complete(self.server, "The capital of France is")))

    def idle(self):
        metrics = self.server.metrics()
        counts = [sample.value for name in ("running", "waiting")
                  for sample in metrics[f"vllm:num_requests_{name}"].samples]
        return len(counts) == 2 and not any(counts)


class AdapterTest(unittest.TestCase):
    """LoRA adapters have names, which requests use as those of models."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="baozi-adapters-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def adapter(self, name, **properties):
        return {"name": name, "path": str(write_lora(self.folder / f"{name}.gguf", width=WIDTH,
                                                     layers=[10, 20], **properties))}

    def test_each_says_its_own_beside_the_others(self):
        prompt = f"{SYSTEM} The capital of France is"
        adapters = [self.adapter("pirate"), self.adapter("poet", seed=2)]
        names = ["bun", "pirate", "poet"]
        with serving(adapters=adapters) as server:
            alone = {name: complete(server, prompt, 12, model=name) for name in names}
            self.assertEqual(len({text(body) for body in alone.values()}), 3, alone)
            for name, body in alone.items():
                self.assertEqual(body["model"], name)
                self.assertEqual(cached(body), 0, "nothing is shared between adapters")
            with ThreadPoolExecutor(3) as pool:
                together = list(pool.map(
                    lambda name: complete(server, prompt, 12, model=name), names))
            # The words may differ from those alone: with random factors many are equally likely.
            self.assertEqual(len({text(body) for body in together}), 3, together)
            for name, body in zip(names, together):
                self.assertEqual(body["model"], name)
                self.assertGreater(cached(body), 300)
            listed = server.get("/v1/models").body["data"]
            self.assertEqual([(model["id"], model.get("parent")) for model in listed],
                             [("bun", None), ("pirate", "bun"), ("poet", "bun")])
            self.assertEqual(server.get("/v1/models/poet").body["parent"], "bun")

    def test_scale_nothing_changes_nothing(self):
        adapters = [{**self.adapter("quiet"), "scale": 0}]
        with serving(adapters=adapters) as server:
            said = [text(complete(server, PROMPTS[0], 12, model=name)) for name in ("bun", "quiet")]
        self.assertEqual(said[0], said[1])

    def test_a_model_goes_before_an_adapter_of_its_name(self):
        with serving() as server:
            alone = text(complete(server, PROMPTS[0], 12, model="bun"))
        with serving(adapters=[self.adapter("bun")]) as server:
            self.assertEqual(text(complete(server, PROMPTS[0], 12, model="bun")), alone)

    def test_a_file_that_is_no_adapter_of_the_model(self):
        cases = {"other_shape": {"width": WIDTH // 2}, "other_kind": {"architecture": "gemma"}}
        for name, properties in cases.items():
            path = write_lora(self.folder / name, layers=[1], **{"width": WIDTH, **properties})
            with self.subTest(name):
                self.refused(path)
        path.write_bytes(path.read_bytes()[:200])
        self.refused(path)

    def test_a_file_that_is_not_there(self):
        self.refused(self.folder / "nowhere.gguf")

    def refused(self, path):
        server = harness.Server(config(adapters=[{"name": "x", "path": str(path)}]))
        try:
            harness.wait_until(lambda: "is no adapter of this model" in server.log(),
                               "the server says what is wrong")
            self.assertIn(str(path), server.log())
        finally:
            server.end()


class GuessTest(unittest.TestCase):
    def test_what_repeats_is_guessed_and_the_text_stays_the_same(self):
        prompt = "Say it again: " + "one two three four five six seven eight nine ten. " * 6
        with serving() as server:
            plain = complete(server, prompt, 60)
        self.assertNotIn("completion_tokens_details", plain["usage"])
        with serving(guess=8) as server:
            guessed = complete(server, prompt, 60)
            metrics = server.metrics()
        self.assertEqual(text(guessed), text(plain))
        details = guessed["usage"]["completion_tokens_details"]
        self.assertGreater(details["accepted_prediction_tokens"], 20, details)
        drafted, accepted = (
            metrics[f"vllm:spec_decode_num_{kind}_tokens"].samples[0].value
            for kind in ("draft", "accepted"))
        self.assertEqual(accepted, details["accepted_prediction_tokens"])
        self.assertEqual(drafted - accepted, details["rejected_prediction_tokens"])


class RestartTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="baozi-prefixes-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "kv"

    def files(self):
        return list(self.folder.glob("*.kv"))

    def share(self):
        with serving(prefixes=self.folder) as server:
            for question in ("one", "two"):
                body = complete(server, f"{SYSTEM} Tell me about bun {question}.")
            harness.wait_until(self.files, "the beginning is on disk")
            return text(body)

    def test_a_shared_beginning_is_known_after_a_restart(self):
        said = self.share()
        self.assertEqual(stat.S_IMODE(self.files()[0].stat().st_mode), 0o600)
        with serving(prefixes=self.folder) as server:
            body = complete(server, f"{SYSTEM} Tell me about bun two.")
            self.assertGreater(cached(body), 200)
            self.assertEqual(text(body), said)

    def test_a_replica_that_joins_knows_what_the_others_share(self):
        with serving(prefixes=self.folder) as first:
            for question in ("one", "two"):
                said = text(complete(first, f"{SYSTEM} Tell me about bun {question}."))
            harness.wait_until(self.files, "the beginning is on disk")
            with serving(prefixes=self.folder) as joined:
                body = complete(joined, f"{SYSTEM} Tell me about bun two.")
                self.assertGreater(cached(body), 200)
                self.assertEqual(text(body), said)
            # Who left took nothing away from the one that stays.
            again = complete(first, f"{SYSTEM} Tell me about bun two.")
            self.assertEqual(text(again), said)
            self.assertTrue(self.files())

    def test_another_kind_of_memory_computes_anew(self):
        self.share()
        with serving(prefixes=self.folder, kv="q8_0") as server:
            self.assertEqual(cached(complete(server, f"{SYSTEM} Tell me about bun two.")), 0)

    def test_a_damaged_file_is_computed_anew(self):
        said = self.share()
        file = self.files()[0]
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        with serving(prefixes=self.folder) as server:
            body = complete(server, f"{SYSTEM} Tell me about bun two.")
            self.assertEqual(cached(body), 0)
            self.assertEqual(text(body), said)
            self.assertIn("damaged", server.log())
        self.assertNotIn(file, self.files())

    def test_a_folder_that_cannot_be_written_is_a_warning(self):
        self.folder.write_text("a file in its place")
        with serving(prefixes=self.folder) as server:
            for question in ("one", "two"):
                self.assertTrue(text(complete(server, f"{SYSTEM} About bun {question}.")))
            harness.wait_until(lambda: "are not kept" in server.log(), "the warning")


class PlaceTest(unittest.TestCase):
    """A memory that is too small for all at once."""

    def test_who_is_put_back_is_answered(self):
        def ask(server, number):
            return text(complete(server, f"Story {number}:", 200, ignore_eos=True))

        with serving(context=512, answers_max=4) as server:
            alone = ask(server, 1)
            with ThreadPoolExecutor(4) as pool:
                together = list(pool.map(lambda number: ask(server, number), range(4)))
        self.assertEqual(len(together), 4)
        # Numbers are summed in another order when others share the step: alike, not always equal.
        self.assertEqual(together[1][:20], alone[:20])


if __name__ == "__main__":
    harness.main()
