"""GDB commands for baozi: the async stacks of a stopped process or a core file.

    (gdb) source tools/gdb/baozi.py
    (gdb) baozi tasks            every coroutine chain that is alive, innermost frame first
    (gdb) baozi tasks ocr        only those with "ocr" in a function's name

It walks the slabs of the frame pool (baozi/coro/frame_pool.cc) for blocks that are live coroutine
frames, which their promises tell (Work::run; freeing a block clears it), and follows the links of
these promises (baozi/coro/promise.h). Nothing is called in the process, so it works on core files,
too. Not found: frames over 2 KiB that no smaller frame awaits or is awaited by, and all frames
under AddressSanitizer (they come from the heap).
"""

import gdb

PROMISE_OFFSET = 16  # a frame begins with its resume and destroy functions, in GCC as in Clang
STACK_MAX = 1000


def number(value):
    """An atomic's or a plain integer's or pointer's value."""
    kind = value.type.strip_typedefs()
    if kind.code == gdb.TYPE_CODE_STRUCT:
        for field in ("_M_b", "_M_p", "_M_i"):
            if any(f.name == field for f in kind.fields()):
                return number(value[field])
        for field in kind.fields():
            if field.is_base_class:
                return number(value[field])
        raise gdb.GdbError(f"cannot read a {kind}")
    return int(value)


def pool_blocks():
    slab_type = gdb.lookup_type("baozi::frame_pool::Slab").pointer()
    slabs = gdb.lookup_global_symbol("baozi::frame_pool::g_slabs")
    if slabs is None:
        raise gdb.GdbError("no baozi program is loaded, or it has no debug information")
    at = number(slabs.value())
    while at != 0:
        slab = gdb.Value(at).cast(slab_type).dereference()
        first, step = int(slab["first_block"]), int(slab["block_bytes"])
        for block in range(int(slab["blocks"])):
            yield at + first + block * step
        at = int(slab["next"])


class Promise:
    """One coroutine, seen through its promise."""

    def __init__(self, value):
        self.value = value.dereference()
        self.address = int(value)

    def link(self, name):
        target = self.value[name]
        return Promise(target) if int(target) != 0 else None

    def site(self):
        """(function, file, line), or None while it runs or has not begun."""
        impl = self.value["site"]["_M_impl"]
        if int(impl) == 0 or int(impl["_M_line"]) == 0:
            return None
        function, file = impl["_M_function_name"].string(), impl["_M_file_name"].string()
        return function, file, int(impl["_M_line"])

    def function(self):
        """The name of the coroutine from its code, for those without a site."""
        words = gdb.lookup_type("long").pointer()
        resume = int(gdb.Value(self.address - PROMISE_OFFSET).cast(words).dereference())
        if resume == 0:
            return "(ended)"
        block = gdb.block_for_pc(resume)
        known = block is not None and block.function is not None
        name = block.function.name if known else hex(resume)
        return name

    def executor(self):
        executor = self.value["executor"]
        if int(executor) == 0:
            return "not started"
        whole = executor.dynamic_type.target()
        try:
            return executor.cast(whole.pointer())["name_"]["_M_dataplus"]["_M_p"].string()
        except gdb.error:
            return str(whole)

    def joiner(self):
        """Who waits for the nursery or group that owns this root."""
        owner = self.value["root"]
        if int(owner) == 0:
            return None
        try:
            joiner = owner.cast(owner.dynamic_type)["joiner_"]
        except gdb.error:
            return None
        return Promise(joiner) if int(joiner) != 0 else None


def find_promises():
    """All promises by address: those in slabs and those linked to them."""
    kind = gdb.lookup_type("baozi::detail::PromiseBase").pointer()
    resume_work = gdb.lookup_symbol("baozi::detail::PromiseBase::resume_work")[0]
    if resume_work is None:
        raise gdb.GdbError("no coroutine of baozi's is here, or it has no debug information")
    marker = int(resume_work.value().address)
    found = {}
    for block in pool_blocks():
        promise = Promise(gdb.Value(block + PROMISE_OFFSET).cast(kind))
        if int(promise.value["run"]) == marker:
            found[promise.address] = promise
    queue = list(found.values())
    while queue:
        promise = queue.pop()
        for linked in (promise.link("parent"), promise.link("child"), promise.joiner()):
            if linked is not None and linked.address not in found:
                found[linked.address] = linked
                queue.append(linked)
    return found


def short(function):
    """'baozi::ocr' out of 'baozi::Task<int> baozi::ocr(Image)'."""
    for anonymous in ("(anonymous namespace)::", "{anonymous}::"):
        function = function.replace(anonymous, "")
    return function.split("(")[0].split(" ")[-1]


def stack_of(leaf):
    """Lines of text, innermost first, and the awaits of joins."""
    lines, promise, depth = [], leaf, 0
    while promise is not None and depth < STACK_MAX:
        site = promise.site()
        if site is not None:
            lines.append(f"#{depth} {short(site[0])} at {site[1]}:{site[2]}")
        else:
            lines.append(f"#{depth} {short(promise.function())} running or ready")
        depth += 1
        promise = promise.link("parent") or promise.joiner()
    return lines


class Baozi(gdb.Command):
    """Commands for baozi's coroutines."""

    def __init__(self):
        super().__init__("baozi", gdb.COMMAND_STACK, prefix=True)


class BaoziTasks(gdb.Command):
    """baozi tasks [TEXT]: the async stacks of all live tasks, or of those that contain TEXT."""

    def __init__(self):
        super().__init__("baozi tasks", gdb.COMMAND_STACK)

    def invoke(self, text, from_tty):
        promises = find_promises()
        joiners = {p.joiner().address for p in promises.values() if p.joiner() is not None}
        shown = 0
        for address in sorted(promises):
            leaf = promises[address]
            if leaf.link("child") is not None or address in joiners:
                continue  # seen in another's stack
            lines = stack_of(leaf)
            if text and not any(text in line for line in lines):
                continue
            shown += 1
            print(f"task {address:#x} on {leaf.executor()}")
            for line in lines:
                print("  " + line)
        print(f"{shown} tasks")


Baozi()
BaoziTasks()
