"""Run in the build's environment: `python -m unittest discover -s tools/models -p '*_test.py'`."""

import io
import pickle
import struct
import sys
import tempfile
import types
import unittest
from collections import OrderedDict
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import numpy as np
import onnx_graph
import prepare
import torch_file


class PrepareTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        self.builds = 0
        module = types.ModuleType("build_noop")  # stands in for the real builder, under its name
        module.build = self.build
        self.enterContext(mock.patch.dict(sys.modules, {"build_noop": module}))
        step = prepare.Step("build_noop", ("test",))
        self.enterContext(mock.patch.object(prepare, "STEPS", (step,)))

    def build(self, staging: Path, cache: Path) -> None:
        self.builds += 1
        (staging / "models" / "m" / "1").mkdir(parents=True)
        (staging / "models" / "m" / "1" / "model.onnx").write_bytes(b"model")

    def prepare(self, *more: str) -> int:
        arguments = ["prepare.py", "--cache", str(self.root), "--out", str(self.root / "models")]
        with mock.patch.object(sys, "argv", [*arguments, *more]):
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                return prepare.main()

    def test_a_second_run_builds_nothing(self) -> None:
        self.assertEqual((self.prepare(), self.prepare()), (0, 0))
        self.assertEqual(self.builds, 1)

    def test_a_missing_or_cut_file_is_built_again(self) -> None:
        self.prepare()
        model = self.root / "models" / "m" / "1" / "model.onnx"
        model.write_bytes(b"mod")
        self.prepare()
        self.assertEqual(model.read_bytes(), b"model")
        model.unlink()
        self.prepare()
        self.assertEqual((model.read_bytes(), self.builds), (b"model", 3))

    def test_a_damaged_stamp_is_no_reason_to_fail(self) -> None:
        self.prepare()
        (self.root / "models" / ".stamps" / "noop.json").write_text("{")
        self.assertEqual(self.prepare(), 0)
        self.assertEqual(self.builds, 2)

    def test_a_changed_script_is_built_again(self) -> None:
        self.prepare()
        with mock.patch.object(prepare, "step_digest", lambda step: "another"):
            self.prepare()
        self.assertEqual(self.builds, 2)

    def test_a_group_leaves_other_steps_alone(self) -> None:
        self.assertEqual(self.prepare("--only", "demo"), 0)
        self.assertEqual(self.builds, 0)

    def test_the_models_of_a_group(self) -> None:
        models = self.root / "models"
        self.assertEqual(prepare.models_of("test", models), set())
        self.prepare()
        self.assertEqual(prepare.models_of("test", models), {"m"})
        self.assertEqual(prepare.models_of("demo", models), set())

    def test_a_group_apart_is_built_only_when_it_is_named(self) -> None:
        step = prepare.Step("build_noop", (prepare.GROUP_APART,))
        with mock.patch.object(prepare, "STEPS", (step,)):
            self.assertEqual((self.prepare(), self.builds), (0, 0))
            self.assertEqual((self.prepare("--only", prepare.GROUP_APART), self.builds), (0, 1))

    def test_a_failed_step_leaves_no_stamp_and_no_staging_folder(self) -> None:
        with mock.patch.object(self, "build", side_effect=RuntimeError("no network")):
            sys.modules["build_noop"].build = self.build
            self.assertEqual(self.prepare(), 1)
        left = {path.name for path in (self.root / "models").iterdir()}
        self.assertEqual(left, {".lock"})


class Evil:
    def __reduce__(self):
        return (eval, ("1/0",))


class TorchFileTest(unittest.TestCase):
    def test_a_pickle_that_asks_for_a_function_is_refused(self) -> None:
        with self.assertRaisesRegex(RuntimeError, r"\.eval, which no plain"):
            torch_file.load(pickle.dumps(Evil(), protocol=2))

    def test_a_tensor_past_its_storage_is_refused(self) -> None:
        storage = torch_file._Storage("0", np.dtype("<f4"), 4)
        tensor = torch_file._Tensor(storage, 2, (3,), (1,))
        with self.assertRaisesRegex(RuntimeError, "past its storage"):
            torch_file._as_array(tensor, {"0": np.zeros(4, np.float32)})

    def test_another_format_is_refused(self) -> None:
        pickles = b"".join(pickle.dumps(value) for value in (1, 2, {}, OrderedDict(), []))
        with self.assertRaisesRegex(RuntimeError, "before version 1.6"):
            torch_file.load(pickles + struct.pack("<q", 0))


class GraphTest(unittest.TestCase):
    def test_a_graph_with_a_dangling_input_is_not_written(self) -> None:
        graph = onnx_graph.Graph("broken")
        graph.add("Identity", "nowhere", out="output")
        graph.output("output", [1])
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(Exception):
                onnx_graph.save(graph.model(), Path(folder), "broken")
            self.assertEqual(list(Path(folder).iterdir()), [])


if __name__ == "__main__":
    unittest.main()
