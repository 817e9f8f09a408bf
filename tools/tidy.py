#!/usr/bin/env python3
"""Keeps the tree's habits: layout, sizes, the coroutine rule, ARCHITECTURE.md's import table.

    python3 tools/tidy.py [ROOT]

Prints one line a fault, `file:line: what`, and exits 1 when there is any. tools/tidy_test.py shows
each rule.
"""

import os
import re
import sys
from pathlib import Path

COLUMNS = 100
LINES_MAX = {".cc": 600, ".h": 300}
FUNCTION_LINES_MAX = 70
CODE = {".h", ".cc", ".py", ".sh", ".cmake"}
TEXT = CODE | {".md", ".txt", ".json", ".yaml", ".yml", ".html", ""}
SKIPPED_FOLDERS = {"build", "__pycache__", "testdata"}
# Engines' own headers stay in their own folders, so that a process pays only for the engine it
# opens.
ENGINE_HEADERS = {
    "baozi/engine/onnx": re.compile(r"^(onnxruntime|core/providers/)"),
    "baozi/engine/openvino": re.compile(r"^openvino/"),
    "baozi/engine/llama": re.compile(r"^(llama|ggml|gguf)"),
}
COMMENT_OR_LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^(\s]*)\(.*?\)\1"'
    r'|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)
# Written in pieces, so that this file passes its own rules.
LEFT_TO_DO = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
MACHINE_PATH = re.compile(r"(^|[^A-Za-z0-9_.])/(work|farm|root|home/[a-z]+)" + r"/")
REGISTRY_HOST = re.compile("|".join(
    re.escape(name + dot + end) for name, dot, end in (
        ("deb.debian", ".", "org"), ("pypi", ".", "org"), ("pythonhosted", ".", "org"),
        ("registry.npmjs", ".", "org"), ("static.crates", ".", "io"), ("proxy.golang", ".", "org"),
        ("repo.maven.apache", ".", "org"), ("repo1.maven", ".", "org"))))


def sources(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            f for f in folders
            if f not in SKIPPED_FOLDERS and (f == ".ci" or not f.startswith(".")))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix in TEXT and not path.is_symlink():
                yield path


def blank(text):
    """The same text with spaces for comments and literals; lines stay where they are."""
    return COMMENT_OR_LITERAL.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def lines_in_raw_strings(text):
    found = set()
    for match in COMMENT_OR_LITERAL.finditer(text):
        if match[0].startswith("R"):
            first = text.count("\n", 0, match.start()) + 1
            found.update(range(first, first + match[0].count("\n") + 1))
    return found


def check_text(path, text):
    raw = lines_in_raw_strings(text) if path.suffix in (".h", ".cc") else ()
    for number, line in enumerate(text.split("\n"), 1):
        if path.suffix in CODE and len(line) > COLUMNS and number not in raw:
            yield number, f"{len(line)} columns, at most {COLUMNS}"
        if LEFT_TO_DO.search(line):
            yield number, "work left to do: do it, or file an issue"
        if MACHINE_PATH.search(line):
            yield number, "a path of one machine"
        if REGISTRY_HOST.search(line):
            yield number, "names a package registry's host; its client knows it"
        if path.suffix in CODE and line != line.rstrip():
            yield number, "trailing space"


def check_size(path, text):
    limit = LINES_MAX.get(path.suffix)
    lines = text.count("\n")
    if limit and lines >= limit:
        yield 1, f"{lines} lines, under {limit} wanted: split it by idea"


def check_header_start(path, text):
    """A header says what it is: a comment first, or right after #pragma once."""
    if path.suffix != ".h":
        return
    if "#pragma once" not in text:
        yield 1, "no #pragma once"
    start = text.lstrip().removeprefix("#pragma once").lstrip()
    if not start.startswith(("//", "/*")):
        yield 1, "a header starts with a comment: what it is, thread safety, an example"


def check_functions(path, text):
    """Free functions and out-of-class members: from an unindented `… {` to the unindented `}`."""
    no_function = re.compile(
        r"(inline )?namespace|(template.*> )?(class|struct|enum|union)\b|extern\b")
    start = None
    for number, line in enumerate(blank(text).splitlines(), 1):
        if start is None and re.match(r"[A-Za-z_~\[].*\{\s*$", line):
            if not no_function.match(line):
                start = number
        elif start is not None and line.startswith("}"):
            lines = number - start + 1
            if lines > FUNCTION_LINES_MAX:
                yield start, f"a function of {lines} lines, at most {FUNCTION_LINES_MAX}"
            start = None


CONTROL = re.compile(r"^(else\b|do\b|(case\b[^:]*|default|\w+)\s*:(?!:)|\[\[[^\]]*\]\])\s*")
CONDITION = re.compile(r"^(if(\s+constexpr)?|for|while|switch)\s*(?=\()")
BLOCK_BEFORE = re.compile(
    r"([)\]:;{}]|^|\b(else|do|try|noexcept|mutable|const|override|final)|->\s*[\w:<>,\s&*]+)$")


def close_of(text, open_at):
    depth = 0
    for at in range(open_at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return len(text)


def statement_before(code, at):
    """What stands before `at` in its own statement; None inside brackets or a braced list."""
    depth, here = 0, at - 1
    while here >= 0:
        char = code[here]
        if char in ")]":
            depth += 1
        elif char in "([":
            if depth == 0:
                return None
            depth -= 1
        elif depth == 0 and char in ";}":
            break
        elif depth == 0 and char == "{":
            if not BLOCK_BEFORE.search(code[max(0, here - 200):here].rstrip()):
                return None
            break
        here -= 1
    before = re.sub(r"^\s*#.*$", "", code[here + 1:at], flags=re.MULTILINE).strip()
    while True:
        condition = CONDITION.match(before)
        if condition:
            before = before[close_of(before, condition.end()) + 1:].strip()
            continue
        control = CONTROL.match(before)
        if not control:
            return before
        before = before[control.end():]


def check_co_await(path, text):
    """`co_await f();` or `T x = co_await f();`: GCC 12 may destroy temporaries twice otherwise."""
    if path.suffix not in (".h", ".cc") or "co_await" not in text:
        return
    code = blank(text)
    for match in re.finditer(r"\bco_await\b", code):
        number = code.count("\n", 0, match.start()) + 1
        if "operator" in code[max(0, match.start() - 12):match.start()]:
            continue
        line_start = code.rfind("\n", 0, match.start()) + 1
        before = statement_before(code, match.start())
        if code[line_start:].lstrip().startswith("#") or before is None:
            yield number, "co_await inside a larger expression or a macro"
        elif before and not re.fullmatch(r"[^=]*[^=!<>+*/|&^%-]\s*=", before, re.DOTALL):
            yield number, "co_await is a whole statement, or all of what one `=` assigns"
        elif re.search(r"\?|&&|\|\||[=!<>]=| [+*/%-] ", flat_rest(code, match.end())):
            yield number, "an operator after co_await: give its result a name first"


def flat_rest(code, at):
    """The rest of the statement without what stands in brackets."""
    out, depth = [], 0
    for char in code[at:at + 4000]:
        if char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == ";" and depth <= 0:
            break
        elif depth == 0:
            out.append(char)
    return "".join(out)


def read_import_table(architecture):
    """{module: set of modules it may include}, from the table below `## Import table`."""
    section = re.search(
        r"^## Import table\n(.*?)(?=^## |\Z)", architecture, re.MULTILINE | re.DOTALL)
    row = re.compile(r"^\|\s*`?([a-z_/]+)`?\s*\|(.*)\|\s*$", re.MULTILINE)
    rows = row.findall(section[1]) if section else []
    rows = [(name, cells.split("|")[-1]) for name, cells in rows if name != "module"]
    modules = {name for name, _ in rows}
    table = {}
    for name, cell in rows:
        allowed = set(re.findall(r"[a-z_]+(?:/[a-z_]+)*", cell)) & modules
        if re.search(r"\b(all|everything)\b", cell):
            excepted = re.search(r"\b(?:but|except)\b(.*)", cell)
            without = set(re.findall(r"[a-z_/]+", excepted[1])) if excepted else set()
            allowed = {m for m in modules if m not in without}
        table[name] = allowed | {name}
    return table


def module_of(relative, table):
    """The deepest module of the table that holds the file; an engine's folder is a module too."""
    parts = relative.split("/")[:-1]
    if len(parts) >= 2 and parts[0] == "engine":
        return "/".join(parts[:2])
    while parts and "/".join(parts) not in table:
        parts.pop()
    return "/".join(parts)


def may_include(module, test_code, table):
    if module in table:
        allowed = set(table[module])
    elif module.startswith("engine/"):
        allowed = {module, "engine", "coro", "base"}
    else:
        return None
    return allowed | {"engine/fake"} if test_code else allowed


def check_includes(path, text, relative, table, root):
    if path.suffix not in (".h", ".cc"):
        return
    module = module_of(relative[len("baozi/"):], table) if relative.startswith("baozi/") else None
    allowed = None
    if module is not None:
        allowed = may_include(module, re.search(r"_(test|bench|fuzz)\.cc$", relative), table)
        if allowed is None:
            yield 1, f"the import table of ARCHITECTURE.md has no row for {module or relative}"
    for number, line in enumerate(text.splitlines(), 1):
        include = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not include:
            continue
        quote, target = include.groups()
        for folder, pattern in ENGINE_HEADERS.items():
            if pattern.search(target) and not relative.startswith(folder + "/"):
                yield number, f"<{target}> belongs to {folder} only"
        if quote == '"' and not (root / target).exists():
            yield number, f'"{target}" is no file of ours: paths start at the root, others in <>'
        if allowed is not None and target.startswith("baozi/"):
            other = module_of(target[len("baozi/"):], table)
            if other not in allowed:
                yield number, f"{module} may not include {other} (import table of ARCHITECTURE.md)"


def check_tree(root):
    architecture = root / "ARCHITECTURE.md"
    table = read_import_table(architecture.read_text()) if architecture.exists() else {}
    if not table:
        yield "ARCHITECTURE.md", 1, "no table `| module | may include |` below `## Import table`"
    for path in sources(root):
        relative = path.relative_to(root).as_posix()
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            yield relative, 1, "not UTF-8 text"
            continue
        checks = [check_text(path, text)]
        if path.suffix in (".h", ".cc"):
            checks += [check(path, text) for check in (
                check_size, check_header_start, check_functions, check_co_await)]
            if table:
                checks.append(check_includes(path, text, relative, table, root))
        for check in checks:
            for number, what in check:
                yield relative, number, what


def main(arguments):
    root = Path(arguments[1] if len(arguments) > 1 else Path(__file__).parents[1]).resolve()
    faults = list(check_tree(root))
    for relative, number, what in faults:
        print(f"{relative}:{number}: {what}")
    print(f"tidy: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
