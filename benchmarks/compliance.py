"""OPA's own compliance cases through the embedded engine: how often it answers as OPA does, and how it fails where not.

The cases come with OPA's Go module (`v1/test/cases/testdata/v1`), which `go install` has put into the module cache;
nothing of them is copied. Each case is a query with modules, data and input, and goes the way of `policyd policy
eval`: the lists of builtins, the subset, the limits. There are four ends:

- *alike*: the result is the one the case wants, or it wants an error and one is raised;
- *refused*: the policy is outside the lists or the subset, or regorus can't read it, and policyd says so;
- *raised*: evaluating fails, which makes a decision undecided;
- *silent*: another answer than the case wants, and no word about it. There must be none (tests/policies).

Builtin errors are always strict in policyd, so a case that wants such an error to be undefined ends as raised.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from benchmarks.commands import ROOT
from policyd.adapters.engines.embedded import MEMORY_BYTES, TIMEOUT_SECONDS, RuleProcess
from policyd.adapters.engines.queries import ask_process, make_question
from policyd.errors import EngineError, PolicydError
from policyd.policy.query import is_same_json

End = Literal["alike", "refused", "raised", "silent"]

_CASES = Path("v1/test/cases/testdata/v1")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one case ended. `reason` is empty where it is alike."""

    case: str
    end: End
    reason: str = ""


def measure() -> Iterator[str]:
    """Run every case; give the counts, the reasons of those that were not answered, and each silent difference."""
    folder = find_cases()
    if folder is None:
        yield "OPA's module is not in the Go module cache: see tools/go-tools.sh"
        return
    started = time.monotonic()
    outcomes = list(run_cases(read_cases(folder)))
    yield f"{len(outcomes)} compliance cases of OPA in {time.monotonic() - started:.1f} s"
    counts = Counter(outcome.end for outcome in outcomes)
    for end in ("alike", "refused", "raised", "silent"):
        yield f"  {end:8}{counts[end]:6}"
    for end in ("refused", "raised"):
        yield f"\n{end}, by reason:"
        for reason, count in Counter(outcome.reason for outcome in outcomes if outcome.end == end).most_common():
            yield f"{count:6}  {reason}"
    for outcome in outcomes:
        if outcome.end == "silent":
            yield f"\nsilent: {outcome.case}: {outcome.reason}"


def find_cases() -> Path | None:
    """Return the folder of the cases of the OPA that tools/versions.txt names, or None where it was not downloaded."""
    for line in (ROOT / "tools" / "versions.txt").read_text().splitlines():
        if line.startswith("opa "):
            folder = _module_cache() / line.removeprefix("opa ").strip() / _CASES
            return folder if folder.is_dir() else None
    return None


def read_cases(folder: Path) -> list[Mapping[str, Any]]:
    """Return every case below `folder`, in the order of the files."""
    return [case for path in sorted(folder.rglob("*.yaml")) for case in yaml.load(path.read_bytes(), _Loader)["cases"]]


def run_cases(cases: Iterable[Mapping[str, Any]]) -> Iterator[Outcome]:
    """Ask the cases one after the other, all in one rule process as long as it lives."""
    process: RuleProcess | None = None
    try:
        for case in cases:
            process = process or RuleProcess(MEMORY_BYTES, TIMEOUT_SECONDS)
            try:
                yield _run(case, process)
            except EngineError as error:
                process.stop()
                process = None
                yield Outcome(case["note"], "raised", error.cause)
    finally:
        if process is not None:
            process.stop()


def _run(case: Mapping[str, Any], process: RuleProcess) -> Outcome:
    wants_error = "want_error" in case or "want_error_code" in case
    try:
        document = _input(case)
    except ValueError:
        return Outcome(case["note"], "refused", "the input holds what JSON can't")
    modules = {f"case-{number}.rego": text.encode() for number, text in enumerate(case.get("modules") or ())}
    try:
        question = make_question(case["query"], modules, case.get("data") or {}, document)
        answer: Any = ask_process(process, question, time.monotonic() + TIMEOUT_SECONDS)
    except EngineError:
        raise
    except PolicydError as error:
        if "can't be evaluated" not in error.cause:
            return Outcome(case["note"], "refused", _shorten(error.cause))
        return Outcome(case["note"], "alike") if wants_error else Outcome(case["note"], "raised", error.cause)

    found = [result.get("bindings", {}) for result in answer.get("result", ())]
    if wants_error:
        return Outcome(case["note"], "silent", f"no error, but {json.dumps(found)}")
    wanted = case["want_result"] or []
    if case.get("sort_bindings"):
        found, wanted = [_sorted(each) for each in found], [_sorted(each) for each in wanted]
    if _same_solutions(found, wanted):
        return Outcome(case["note"], "alike")
    return Outcome(case["note"], "silent", f"{json.dumps(found)}, wanted {json.dumps(wanted)}")


def _input(case: Mapping[str, Any]) -> bytes | None:
    if "input_term" in case:
        return json.dumps(json.loads(case["input_term"])).encode()
    return json.dumps(case["input"]).encode() if "input" in case else None


def _same_solutions(found: list[Any], wanted: list[Any]) -> bool:
    """Say whether both hold the same solutions, in any order and however often, as OPA's own runner compares."""
    return all(
        any(is_same_json(one, other) for other in others) for ones, others in ((found, wanted), (wanted, found))
        for one in ones
    )  # fmt: skip


def _sorted(bindings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: sorted(value, key=json.dumps) if isinstance(value, list) else value for name, value in bindings.items()
    }


def _shorten(cause: str) -> str:
    """Return the reason without what differs from case to case."""
    return re.sub(r"-->.*error: |'[^']*'|(?<=the number )\S+", "…", cause)[:100]


def _module_cache() -> Path:
    """Return the Go module cache, without Go where its variables say enough."""
    if configured := os.environ.get("GOMODCACHE"):
        return Path(configured)
    if path := os.environ.get("GOPATH"):
        return Path(path.split(os.pathsep)[0]) / "pkg" / "mod"
    try:
        said = subprocess.run(["go", "env", "GOMODCACHE"], stdout=subprocess.PIPE, timeout=30, check=True, text=True)
    except (OSError, subprocess.SubprocessError):
        return Path.home() / "go" / "pkg" / "mod"
    return Path(said.stdout.strip())


class _Loader(yaml.CSafeLoader):
    """Reads scalars as OPA does: `on` and dates are text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("bool", "timestamp")]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))
