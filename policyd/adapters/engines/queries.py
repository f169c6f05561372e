"""Queries of a policy author, as `opa eval` answers them: in the limited rule process, or by a real OPA.

Modules are whatever the author is writing, so they need no METADATA; what they may call is held against the same lists
as every policy set. OPA is always one that is started here, for this query: nothing is sent to a server.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from policyd.adapters.engines.embedded import require_held
from policyd.adapters.engines.opa import require_version, run_opa
from policyd.adapters.engines.rule_process import MEMORY_BYTES, TIMEOUT_SECONDS, RuleProcess, short_error
from policyd.adapters.library import library_builtins, library_folder
from policyd.errors import EngineError, PolicyError
from policyd.policy.input_subset import WIDE_CHARACTERS, describe_number, find_number, holds_wide_characters
from policyd.policy.query import (
    MAX_QUERY_BYTES,
    PATH,
    Query,
    find_data_conflict,
    read_query,
    read_results,
    unwrap_place,
    wrap_query,
)
from policyd.policy.rego_text import read_module, read_package
from policyd.policy.subset import ValueUse, find_rule_names, require_subset, unite_uses

_MODULES = "modules"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of what: modules (path → text), the document below `data`, the input (JSON bytes) or None."""

    query: str
    modules: Mapping[str, str]
    data: Mapping[str, object]
    document: bytes | None


def make_question(
    query: str, policies: Mapping[str, bytes], data: Mapping[str, object], document: bytes | None
) -> Question:
    """Return a question whose texts are safe to hand to a parser; raises `PolicyError` for those that are not."""
    if len(query.encode("utf-8", "replace")) > MAX_QUERY_BYTES:
        raise PolicyError("the query is too long", where=PATH, fix="move a part of it into a rule")
    text = read_module(PATH, query.encode("utf-8", "surrogatepass"))
    if PATH in policies:
        raise PolicyError(f"a policy file may not be called {PATH!r}", where=PATH, fix="give it the ending .rego")
    return Question(text, {path: read_module(path, content) for path, content in policies.items()}, data, document)


def ask_embedded(question: Question, *, timeout_seconds: float = TIMEOUT_SECONDS) -> dict[str, object]:
    """Return what `opa eval --format json` prints for `question`, answered by regorus.

    Raises `PolicyError` for what policies or queries may not use, or what regorus could answer in another way, and for
    an error while evaluating; `EngineError` where the process died or took too long.
    """
    process = RuleProcess(MEMORY_BYTES, timeout_seconds)
    try:
        return ask_process(process, question, time.monotonic() + timeout_seconds)
    finally:
        process.stop()


def ask_process(process: RuleProcess, question: Question, deadline: float) -> dict[str, object]:
    """Answer as `ask_embedded` does, in a rule process that is there already and forgets the question before.

    After an `EngineError` the process can't be asked again.
    """
    packages = {path: read_package(path, text)[0] for path, text in question.modules.items()}
    # 1. The modules: parsed, and only what both engines read alike.
    asts = process.load(_MODULES, question.modules, question.data, deadline)
    require_held(asts, question.modules)
    uses = require_subset(asts, packages, library_builtins())
    # 2. No document stands where a rule stands.
    if conflict := find_data_conflict(sorted(packages.values()), find_rule_names(asts), question.data):
        raise PolicyError(
            f"a data file holds {conflict}, which is the place of a package or rule",
            where=conflict,
            fix="give the data another name",
        )
    # 3. The query, parsed as the body of a rule; and again as the expression that is evaluated.
    query, use = _read_query(process, question.query, deadline)
    # 4. No number that the engines hold or calculate with differently.
    _require_numbers(question, unite_uses([use, *uses.values()]))
    # 5. The answer.
    answer = process.evaluate(_MODULES, query.code, question.document, deadline)
    if answer.error is not None:
        raise _cannot_evaluate(short_error(answer.error))
    return read_results(query, answer.value)


def _require_numbers(question: Question, use: ValueUse) -> None:
    # Where it comes from is not followed here: a query may read anything.
    if use.fractions and use.calculates:
        raise PolicyError(
            "the engines round fractions differently",
            where=PATH,
            fix="calculate in whole numbers, or use `--engine opa`",
        )
    use = replace(use, sees=True)
    for where, content in (("the input", question.document), ("the data", json.dumps(question.data).encode())):
        if content is None:
            continue
        if use.counts_characters and holds_wide_characters(content):
            raise PolicyError(WIDE_CHARACTERS, where=where, fix="count something else, or use `--engine opa`")
        found = find_number(content)
        if found is not None and found.kind > use.bearable:
            raise PolicyError(describe_number(found, where), where=where, fix="write it as text, or use `--engine opa`")


def _read_query(process: RuleProcess, text: str, deadline: float) -> tuple[Query, ValueUse]:
    try:
        ast, _ = _load_alone(process, wrap_query(text), deadline)
        query = read_query(text, ast)
        _, use = _load_alone(process, query.module, deadline)
    except PolicyError as error:
        raise PolicyError(error.cause, where=unwrap_place(error.where), fix=error.fix) from error
    return query, use


def _load_alone(process: RuleProcess, module: str, deadline: float) -> tuple[Mapping[str, object], ValueUse]:
    modules = {PATH: module}
    asts = process.load(PATH, modules, {}, deadline)
    require_held(asts, modules)
    uses = require_subset(asts, {PATH: read_package(PATH, module)[0]}, library_builtins())
    return asts[0], uses[PATH]


def _cannot_evaluate(error: str) -> PolicyError:
    return PolicyError(
        f"the query can't be evaluated: {error}",
        where=PATH,
        fix="correct the policy, the query or what it was given: an error is never undefined here",
    )


def ask_opa(question: Question, opa: Path, *, timeout_seconds: float = TIMEOUT_SECONDS) -> dict[str, object]:
    """Return what `opa eval --format json` prints for `question`, with errors of builtins as errors.

    `opa` is the executable, an absolute path the operator vouches for. Raises as `ask_embedded` does.
    """
    require_version(opa)
    with tempfile.TemporaryDirectory(prefix="policyd-opa-") as made:
        folder = Path(made)
        # Under names of our own: OPA takes a colon in a name for a prefix, and others for options.
        files = {}
        arguments = ["eval", "--format=json", "--strict-builtin-errors", "--stdin"]
        arguments += [f"--capabilities={library_folder() / 'capabilities.json'}"]
        for number, (path, text) in enumerate(question.modules.items()):
            file = folder / f"{number:04d}.rego"
            file.write_text(text, encoding="utf-8")
            files[str(file)] = path
            arguments.append(f"--data={file}")
        if question.data:
            (folder / "data.json").write_text(json.dumps(question.data), encoding="utf-8")
            arguments.append(f"--data={folder / 'data.json'}")
        if question.document is not None:
            (folder / "input.json").write_bytes(question.document)
            arguments.append(f"--input={folder / 'input.json'}")
        code, output = run_opa(opa, arguments, timeout_seconds, stdin=question.query.encode())
    try:
        answer = json.loads(output)
    except (ValueError, RecursionError):
        answer = None
    if code == 0 and isinstance(answer, dict) and answer.keys() <= {"result"}:
        return answer
    if isinstance(answer, dict) and isinstance(answer.get("errors"), list) and answer["errors"]:
        raise _opa_error(answer["errors"][0], files)
    raise EngineError(
        f"OPA ended with status {code} and no answer: {_first_words(output)}",
        where=str(opa),
        fix="if it was out of memory, make the query's work smaller; else run it again",
    )


def _first_words(output: str) -> str:
    """Return what OPA said last, without the stacks that Go writes behind an empty line."""
    return " ".join(output.strip().partition("\n\n")[0].split())[:300]


def _opa_error(error: object, files: Mapping[str, str]) -> PolicyError:
    message, location = (error.get("message"), error.get("location")) if isinstance(error, dict) else (None, None)
    where = PATH
    if isinstance(location, dict):
        where = f"{files.get(str(location.get('file')), PATH)}:{location.get('row', 1)}"
    found = _cannot_evaluate(" ".join(str(message).split())[:2000])
    return PolicyError(found.cause, where=where, fix=found.fix)
