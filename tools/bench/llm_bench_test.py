"""Run with `python3 -m unittest discover -s tools/bench -p '*_test.py'`."""

import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import llm_bench
from figures import NotRun, met
from llm_bench import Bench, Table, take_turns
from llm_servers import BAOZI, LLAMA_SERVER, OURS, PEER, USUAL, variant
from row_llm_streams import quantile, requests
from setting import Setting


def bench(over: float) -> Bench:
    setting = Setting(Path("build"), Path("cache"), Path("out"), False, lambda text: None, over)
    return Bench(setting, [BAOZI, LLAMA_SERVER], ["smollm2"], False)


class TakeTurnsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.enterContext(mock.patch.object(llm_bench, "settle", lambda: None))
        self.bench = bench(time.monotonic() + 60)

    def test_another_goes_first_each_round(self) -> None:
        asked = []
        take_turns(self.bench, 2, self.bench.contenders,
                   lambda contender, number: asked.append((contender.name, number)))
        self.assertEqual(asked, [(OURS, 0), (PEER, 0), (PEER, 1), (OURS, 1)])

    def test_who_fails_once_has_no_figure_and_is_not_asked_again(self) -> None:
        def measure(contender, number: int) -> float:
            if contender.name == OURS and number == 1:
                raise NotRun("it ended")
            return 10.0 + number

        table = take_turns(self.bench, 3, self.bench.contenders, measure)
        line = table.line("rate", "tokens/s", lambda found: found, goal=1.0)
        self.assertEqual((line.baozi, line.peers), ("not run: it ended", {PEER: 11.0}))
        self.assertIsNone(met(line))

    def test_a_run_that_is_over_says_so(self) -> None:
        late = bench(time.monotonic() - 1)
        table = take_turns(late, 1, late.contenders, lambda contender, number: 1.0)
        line = table.line("rate", "tokens/s", lambda found: found)
        self.assertEqual(line.baozi, "not run: the time for the whole run was over")

    def test_what_cannot_be_started_is_left_out_of_the_run(self) -> None:
        self.assertEqual(llm_bench.those_that_start(self.bench), [])

    def test_no_server_that_can_be_started_is_no_error(self) -> None:
        table = llm_bench.beside(self.bench, "smollm2", USUAL, 2, lambda server, number: 1.0)
        line = table.line("rate", "tokens/s", lambda found: found)
        self.assertEqual(line.baozi, "not run: the model smollm2 is missing "
                         "(tools/models/prepare.py makes it)")
        self.assertEqual(list(line.peers), [PEER])

    def test_a_run_without_baozi_has_the_peers_figures(self) -> None:
        table = Table([PEER])
        table.found[PEER] = [4.0, 2.0, 3.0]
        line = table.line("rate", "tokens/s", lambda found: found, goal=1.0)
        self.assertEqual((line.baozi, line.peers), ("not run: not in this run",
                                                    {PEER: 3.0}))


class CommandTest(unittest.TestCase):
    def test_both_servers_get_the_same_threads_sequences_and_context(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for program in ("bin/baozi", "llama-server/llama-server"):
                (root / program).parent.mkdir()
                (root / program).touch()
            setting = Setting(root, root, root, False, lambda text: None, 0.0)
            model = root / "smollm2" / "1" / "model.gguf"
            peer = [str(word) for word in LLAMA_SERVER.command(setting, model, USUAL, 5)]
            self.assertEqual(peer[peer.index("-t"):], ["-t", "2", "-np", "8", "-c", "8192",
                                                       "--no-webui"])
            config = Path(BAOZI.command(setting, model, USUAL, 5)[2]).read_text()
            for wanted in (f"path: {model}", "threads: 2", "answers_max: 8", "context: 8192"):
                self.assertIn(wanted, config)
        self.assertEqual(variant("kvu").name, "llama-server -kvu")


class StreamsTest(unittest.TestCase):
    def test_lengths_are_mixed_and_the_same_for_every_server(self) -> None:
        once = requests(8, 2, 0)
        self.assertEqual(once, requests(8, 2, 0))
        self.assertGreater(len({one.body["max_tokens"] for stream in once for one in stream}), 5)

    def test_quantile_is_one_of_the_values(self) -> None:
        self.assertEqual(quantile([3.0, 1.0, 2.0], 0.99), 3.0)
        self.assertEqual(quantile([3.0, 1.0, 2.0], 0.5), 2.0)


if __name__ == "__main__":
    unittest.main()
