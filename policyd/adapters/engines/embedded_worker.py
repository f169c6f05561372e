"""The rule process: regorus and nothing else, under limits, without network, at the other end of two pipes.

It is started by file path in Python's isolated mode, imports nothing of policyd, and gives itself up before it reads a
policy: address space, processor time, open files, core dumps and (where the kernel lets it) the network. Frames are a
length (4 bytes, big endian) and that many bytes. Requests are JSON; an `ask` is followed by a frame with the input.
Which entry point is evaluated stands in four bytes of memory that both sides see, so the rule that took too long can
be named without a word about each of the others.

    {"load": KEY, "modules": [[PATH, TEXT], …], "data": {…}}   → {"reading": PATH} before each module, then
                                                                 {"ast": "…"} or {"error": "…"}
    {"ask": KEY, "entrypoints": [...], "plain": [...]}, INPUT  → {"values": [[VALUE], …]}; if one has none or fails,
                                                                 {"result": …} or {"error": "…"} of each
    {"ask": KEY, "query": "…", "with_input": BOOLEAN}, INPUT   → {"result": …} or {"error": "…"}
    {"coverage": KEY}                                          → {"report": "…"}

A `load` with `"coverage": true` has the lines counted that later questions reach; `"trees"` are the
paths of those modules whose syntax trees it answers with.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import struct
import sys
from typing import Any, BinaryIO

MEMORY_BYTES = int(sys.argv[2])
CPU_SECONDS = int(sys.argv[3])
MAX_FRAME_BYTES = int(sys.argv[4])
PLACE = int(sys.argv[5])  # the descriptor of the shared memory
#: What regorus says of a rule without a value; a rule may also say it itself, so it is then asked again.
UNDEFINED = '"<undefined>"'

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_CLONE_NEWIPC = 0x08000000


def main() -> None:
    """Serve requests until the pipe closes."""
    requests, answers = os.fdopen(0, "rb", closefd=False), os.fdopen(1, "wb", closefd=False)
    place = mmap.mmap(PLACE, 4)
    os.close(PLACE)
    give_up_powers()
    # What comes before this line is the same for every policy; nothing of a policy has been read yet.
    sys.path.append(sys.argv[1])
    import json

    import regorus

    engines: dict[str, Any] = {}
    while (frame := read_frame(requests)) is not None:
        request = json.loads(frame)
        limit_next_seconds()
        if "load" in request:
            answer: dict[str, Any] = {}
            try:
                engine = regorus.Engine()
                for path, text in request["modules"]:
                    write_frame(answers, json.dumps({"reading": path}).encode())
                    engine.add_policy(path, text)
                engine.add_data_json(json.dumps(request["data"]))
                engine.set_enable_coverage(request.get("coverage", False))
                answer["ast"] = read_trees(engine, request["modules"], request["trees"])
                engines[request["load"]] = engine
            except Exception as error:  # whatever it is, it is the answer: nothing is loaded then
                answer["error"] = describe(error)
            write_frame(answers, json.dumps(answer).encode())
            continue
        if "coverage" in request:
            report = engines[request["coverage"]].get_coverage_report_as_json()
            write_frame(answers, json.dumps({"report": report}).encode())
            continue

        document = read_frame(requests)
        if document is None:
            return
        engine = engines[request["ask"]]
        try:
            if request.get("with_input", True):
                engine.set_input_json(document.decode())
        except Exception as error:  # each entry point is answered, with an error
            unreadable = json.dumps({"error": f"the input can't be read: {describe(error)}"}).encode()
            for _ in request.get("entrypoints", [None]):
                write_frame(answers, unreadable)
            continue
        if "query" in request:
            queries = [request["query"]]
        else:
            queries = [f"data.{each}" for each in request["entrypoints"]]
            values = evaluate_rules(engine, queries, request["plain"], place)
            if values is not None:
                write_frame(answers, b'{"values": %b}' % values)
                continue
        for number, query in enumerate(queries):
            note(place, number)
            try:
                result = engine.eval_query_as_json(query).encode()
                if len(result) > MAX_FRAME_BYTES - 64:
                    write_frame(answers, b'{"error": "the answer is too large"}')
                else:
                    write_frame(answers, b'{"result": %b}' % result)
            except Exception as error:  # one that fails takes no other's answer away
                write_frame(answers, json.dumps({"error": describe(error)}).encode())


def read_trees(engine: Any, modules: list[list[str]], wanted: list[str]) -> str:
    """Return the syntax trees of the modules that are `wanted`: a tree has 80 times the bytes of its module."""
    if not wanted:
        return "[]"
    if len(wanted) < len(modules):
        engine = type(engine)()
        for path, text in modules:
            if path in wanted:
                engine.add_policy(path, text)
    found: str = engine.get_ast_as_json()
    return found


def evaluate_rules(engine: Any, queries: list[str], plain: list[bool], place: mmap.mmap) -> bytes | None:
    """Return the value of each rule as a list of lists of one; None where one fails or has none.

    Then each answers for itself, as queries do. A query prepares all rules anew, which takes three times as long as
    they do, so a rule is asked by its path. Only a `plain` one is: it alone says what stands at its path.
    """
    if not all(plain):
        return None
    values: list[str] = []
    try:
        for number, query in enumerate(queries):
            note(place, number)
            value = engine.eval_rule_as_json(query)
            if value == UNDEFINED:
                return None
            values.append(value)
    except Exception:  # each is asked by itself then, and the one that fails says so
        return None
    result = ("[[" + "],[".join(values) + "]]").encode()
    return result if len(result) <= MAX_FRAME_BYTES - 64 else None


def give_up_powers() -> None:
    """Limit memory, files and core dumps, and leave the network, before anything foreign is read."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    # Root may leave the network alone; others need a user namespace for it, which some machines refuse. Best effort:
    # no builtin that reaches the network passes the check of the policy either.
    if os.geteuid() == 0:
        libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC)
    else:
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC)


def limit_next_seconds() -> None:
    """Allow `CPU_SECONDS` from now on: the process lives through many requests, and the limit counts its whole life.

    The kernel ends the process by SIGXCPU even where the parent is gone and nobody watches the clock.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (used + CPU_SECONDS + 1, resource.RLIM_INFINITY))


def describe(error: BaseException) -> str:
    """Return an error of regorus without its stack trace, on one line."""
    text = str(error).partition("\nStack backtrace:")[0]
    return " ".join(text.split())[:2000] or type(error).__name__


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next frame, or None where the other side is gone."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    (length,) = struct.unpack(">I", head)
    content = stream.read(length)
    return content if len(content) == length else None


def note(place: mmap.mmap, number: int) -> None:
    """Note which entry point comes next."""
    struct.pack_into(">I", place, 0, number)


def write_frame(stream: BinaryIO, content: bytes) -> None:
    """Write one frame and send it."""
    stream.write(struct.pack(">I", len(content)) + content)
    stream.flush()


if __name__ == "__main__":
    main()
