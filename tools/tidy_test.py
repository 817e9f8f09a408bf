#!/usr/bin/env python3
"""Each rule of tidy.py, shown by what it finds and by what it leaves alone."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import tidy  # noqa: E402

TABLE = """
## Import table

| module | may include |
|---|---|
| `base` | std, leaf libraries |
| `coro` | base |
| `engine` | coro, base |
| `engine/onnx` | engine, coro, base |
| `pipeline` | engine, coro, base |
| `api` | all but `engine/onnx` |

## Next
"""


def faults(check, name, text):
    return [what for _, what in check(Path(name), text)]


def co_await(text):
    return faults(tidy.check_co_await, "x.cc", text)


class CoAwait(unittest.TestCase):
    def test_whole_statements_pass(self):
        for text in (
            "Task<> f() { co_await g(); }",
            "Task<> f() {\n  int x = co_await g(1, h(2));\n  x = co_await g(x);\n}",
            "void f() { auto [a, b] = co_await g(); }",
            "Task<> f() { if (a && b) co_await g(); else co_await h(); }",
            "Task<> f() { for (int i = 0; i < 3; ++i) co_await g(); }",
            "Task<> f() { try { co_await g(); } catch (const Error&) {} }",
            "void f() { spawn([](int x) -> Task<void> { co_await g(x); }(3)); }",
            "Task<> f() { co_await when_all(g(), h()); }",
            "Task<> f() { co_await Awaiter{a == b}; }",
            "Task<> f() { switch (x) { case 1: co_await g(); } }",
            "// if (co_await g()) would be wrong\n",
            'auto s = "(co_await g())";',
            "auto operator co_await() noexcept;",
        ):
            self.assertEqual(co_await(text), [], text)

    def test_parts_of_expressions_are_found(self):
        for text in (
            "Task<> f() { g(co_await h()); }",
            "Task<> f() { if (co_await h()) {} }",
            "Task<int> f() { co_return co_await h(); }",
            "Task<> f() { int x = a + co_await h(); }",
            "Task<> f() { bool x = a && co_await h(); }",
            "Task<> f() { x += co_await h(); }",
            "Task<> f() { T x{co_await h()}; }",
            "Task<> f() { T x = {co_await h()}; }",
            "Task<> f() { int x = (co_await h()).y; }",
            "Task<> f() { bool x = co_await h() == 3; }",
            "Task<> f() { int x = co_await h() + 1; }",
            "Task<> f() { int x = a ? co_await g() : 0; }",
            "Task<> f() { EXPECT_EQ(co_await h(), 3); }",
            "#define AWAIT(x) co_await x\n",
        ):
            self.assertEqual(len(co_await(text)), 1, text)


class Text(unittest.TestCase):
    def test_columns(self):
        self.assertEqual(faults(tidy.check_text, "x.cc", "a" * 100 + "\n"), [])
        self.assertEqual(len(faults(tidy.check_text, "x.cc", "a" * 101 + "\n")), 1)
        self.assertEqual(faults(tidy.check_text, "x.md", "a" * 101 + "\n"), [])

    def test_raw_strings_may_be_long(self):
        long = "a" * 101
        self.assertEqual(faults(tidy.check_text, "x.cc", f'auto s = R"(\n{long}\n)";\n'), [])
        self.assertEqual(len(faults(tidy.check_text, "x.cc", f'auto s = "{long}";\n')), 1)

    def test_left_to_do(self):
        self.assertEqual(len(faults(tidy.check_text, "x.py", "# TO" + "DO: more\n")), 1)

    def test_machine_path(self):
        self.assertEqual(len(faults(tidy.check_text, "x.sh", "cd /wo" + "rk/main\n")), 1)
        self.assertEqual(faults(tidy.check_text, "x.sh", "cd a/work/b\n"), [])

    def test_registry_host(self):
        self.assertEqual(len(faults(tidy.check_text, "x.sh", "curl https://py" + "pi.org/x\n")), 1)

    def test_sizes(self):
        self.assertEqual(faults(tidy.check_size, "x.h", "\n" * 299), [])
        self.assertEqual(len(faults(tidy.check_size, "x.h", "\n" * 300)), 1)
        self.assertEqual(len(faults(tidy.check_size, "x.cc", "\n" * 600)), 1)

    def test_header_start(self):
        self.assertEqual(faults(tidy.check_header_start, "x.h", "// What.\n#pragma once\n"), [])
        self.assertEqual(faults(tidy.check_header_start, "x.h", "#pragma once\n\n// What.\n"), [])
        self.assertEqual(len(faults(tidy.check_header_start, "x.h", "#pragma once\nint x;\n")), 1)
        self.assertEqual(len(faults(tidy.check_header_start, "x.h", "// What.\nint x;\n")), 1)

    def test_function_length(self):
        body = "  x();\n"
        for start, lines, found in (("int f()", 68, 0), ("int f()", 69, 1), ("namespace a", 99, 0)):
            text = start + " {\n" + body * lines + "}\n"
            self.assertEqual(len(faults(tidy.check_functions, "x.cc", text)), found, (start, lines))


class Tree(unittest.TestCase):
    def check(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in {"ARCHITECTURE.md": TABLE, **files}.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return [f"{name}: {what}" for name, _, what in tidy.check_tree(root)]

    HEADERS = {f"baozi/{name}.h": "// What.\n#pragma once\n" for name in (
        "base/b", "coro/c", "engine/e", "engine/onnx/o", "engine/fake/f", "pipeline/p")}

    def include(self, path, line):
        return self.check({**self.HEADERS, path: f"// What.\n{line}\n"})

    def test_allowed_imports_pass(self):
        for path, line in (
            ("baozi/coro/x.cc", '#include "baozi/base/b.h"'),
            ("baozi/engine/onnx/x.cc", '#include "baozi/engine/e.h"'),
            ("baozi/engine/onnx/x.cc", "#include <onnxruntime_c_api.h>"),
            ("baozi/api/x.cc", '#include "baozi/pipeline/p.h"'),
            ("baozi/pipeline/x_test.cc", '#include "baozi/engine/fake/f.h"'),
            ("apps/x.cc", '#include "baozi/pipeline/p.h"'),
        ):
            self.assertEqual(self.include(path, line), [], (path, line))

    def test_forbidden_imports_are_found(self):
        for path, line in (
            ("baozi/base/x.cc", '#include "baozi/coro/c.h"'),
            ("baozi/pipeline/x.cc", '#include "baozi/engine/onnx/o.h"'),
            ("baozi/pipeline/x.cc", '#include "baozi/engine/fake/f.h"'),
            ("baozi/api/x.cc", '#include "baozi/engine/onnx/o.h"'),
            ("baozi/engine/fake/x.cc", '#include "baozi/engine/onnx/o.h"'),
            ("baozi/engine/x.cc", "#include <onnxruntime_c_api.h>"),
            ("baozi/base/x.cc", '#include "b.h"'),
            ("baozi/newcomer/x.cc", "#include <vector>"),
        ):
            self.assertEqual(len(self.include(path, line)), 1, (path, line))

    def test_a_missing_table_is_a_fault(self):
        self.assertEqual(len(self.check({"ARCHITECTURE.md": "# Nothing\n"})), 1)


if __name__ == "__main__":
    unittest.main()
