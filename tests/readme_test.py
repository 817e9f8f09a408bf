"""README.md does what it says: its blocks are run as they stand, in order, and print what it shows.

A block of `text` after a block of code is the expected output; `…` stands for anything. Only the
port is replaced by that of this test's server.
"""

import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import yaml

import harness

README = (harness.ROOT / "README.md").read_text()
DOCUMENTS = [harness.ROOT / "README.md", harness.ROOT / "ARCHITECTURE.md",
             *sorted((harness.ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks():
    """[(language, code, expected output or None)]"""
    found = BLOCK.findall(README)
    following = [*found[1:], ("", "")]
    return [(language, code, after[1] if after[0] == "text" else None)
            for (language, code), after in zip(found, following) if language != "text"]


def as_pattern(expected):
    return r"\s*".join(".*?".join(map(re.escape, line.split("…")))
                       for line in expected.strip().splitlines())


class TourTest(unittest.TestCase):
    """In a folder that looks like the checkout after `make demo`."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="baozi-readme-")
        root = Path(cls.folder.name)
        (root / "build/release/bin").mkdir(parents=True)
        (root / "build/release/bin/baozi").symlink_to(harness.BAOZI)
        (root / ".cache/models").mkdir(parents=True)
        (root / ".cache/data").symlink_to(harness.DATA)
        config = (harness.ROOT / "tools/demo/demo.yaml").read_text()
        names = [model["path"] for model in yaml.safe_load(config)["models"]]
        for name in names:
            (root / ".cache/models" / name).symlink_to(harness.MODELS / name)
        demo = root / ".cache/models/demo.yaml"
        demo.write_text(config)
        cls.root = root
        cls.server = harness.Server(demo)
        cls.server.wait_ready()

    @classmethod
    def tearDownClass(cls):
        cls.server.end()
        cls.folder.cleanup()

    def run_block(self, language, code):
        code = code.replace("localhost:8000", f"{harness.HOST}:{self.server.port}")
        command = {"sh": ["bash", "-euo", "pipefail", "-c", code],
                   "python": [sys.executable, "-c", code]}[language]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True,
                              timeout=60 * harness.SLOWNESS)

    def test_every_block_in_order(self):
        tried = 0
        for language, code, expected in blocks():
            if language not in ("sh", "python"):
                continue
            with self.subTest(code.splitlines()[0]):
                tried += 1
                done = self.run_block(language, code)
                self.assertEqual(done.returncode, 0, f"{code}\n{done.stdout}\n{done.stderr}")
                self.assertIsNotNone(expected, "README shows what it prints")
                self.assertRegex(done.stdout, re.compile(as_pattern(expected), re.DOTALL))
        self.assertGreaterEqual(tried, 6)


class TextTest(unittest.TestCase):
    def test_code_is_from_compiled_examples(self):
        paths = (harness.ROOT / "examples").rglob("*.cc")
        sources = "".join("".join(path.read_text() for path in paths).split())
        for document in DOCUMENTS:
            for language, code in BLOCK.findall(document.read_text()):
                if language == "cpp":
                    self.assertTrue("".join(code.split()) in sources,
                                    f"{document.name} shows what is in no example:\n{code}")

    def test_links_lead_somewhere(self):
        for document in DOCUMENTS:
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
                if "://" not in target:
                    with self.subTest(document=document.name, target=target):
                        self.assertTrue((document.parent / target).exists())

    def test_targets_that_it_names_exist(self):
        makefile = (harness.ROOT / "Makefile").read_text()
        for target in re.findall(r"`make (\w+)`|^    make (\w+)", README, re.MULTILINE):
            self.assertRegex(makefile, rf"(?m)^{''.join(target)}:")


if __name__ == "__main__":
    harness.main()
