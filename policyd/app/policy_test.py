"""`policyd policy test`: run the tests of rules on the engines that decide."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.app.judging import make_pipeline_input, make_repository
from policyd.app.policy_eval import EngineName
from policyd.app.policy_folders import PolicyFolder, read_policy_folders
from policyd.app.policy_opa import require_opa
from policyd.errors import ExitCode, PolicydError, PolicyError, worst
from policyd.models.base import JsonPath
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, Gate, Place
from policyd.models.strict_json import read_json
from policyd.pipeline.reading import read_pipeline
from policyd.policy.catalogue import RuleMeta, require_known
from policyd.policy.chosen_settings import Wishes, choose
from policyd.policy.coverage import FileCoverage, unite_coverage
from policyd.policy.deciding import Subject, decide
from policyd.policy.engine import PolicyEngine
from policyd.policy.policy_files import FileKind, kind_of, rule_beside
from policyd.policy.policy_set import PolicySet, find_prefix, read_policy_set
from policyd.policy.rule_tests import SHOWN, RuleTestResult, find_stop, run_rule_tests, show_compared
from policyd.policy.table_tests import MAX_TABLE_BYTES, Case, Table, find_difference, read_table, require_file

MAX_EXPLAINED = 20  # each failure is run once more to see where it stopped
_TESTS = (FileKind.TEST, FileKind.TABLE)
_MAX_INPUT_DEPTH = 64
MAX_SHOWN_CHARACTERS = 1000

Factory = Callable[[PolicySet], AbstractContextManager[PolicyEngine]]


@dataclass(frozen=True, slots=True)
class Tested:
    """How all tests went; `coverage` where it was asked for."""

    results: tuple[RuleTestResult, ...]
    coverage: tuple[FileCoverage, ...] | None

    @property
    def exit_code(self) -> ExitCode:
        """0 where all passed, 1 where one failed, 3 where one could not be judged, 4 where there was none."""
        codes = [
            ExitCode.OK if result.passed else ExitCode.UNDECIDED if result.errored else ExitCode.REFUSED
            for result in self.results
        ]
        return worst(*codes)


def run_tests(paths: tuple[Path, ...], *, engine: EngineName, coverage: bool, settings: Path | None) -> Tested:
    """Run the tests of the policy sets that `paths` name, of the library without one."""
    names = ["embedded", "opa"] if engine == "both" else [engine]
    results: list[RuleTestResult] = []
    covered: list[FileCoverage] = []
    for folder in read_policy_folders(paths, settings=settings):
        reports: list[Mapping[str, object]] = []
        for name in names:
            results += _run_folder(folder, _factory(name, settings, reports if coverage else None))
        rules = [path for path in folder.files if kind_of(path) is FileKind.MODULE and folder.holds(path)]
        covered += unite_coverage(reports, rules)
    return Tested(tuple(results), tuple(covered) if coverage else None)


def _factory(name: str, settings: Path | None, reports: list[Mapping[str, object]] | None) -> Factory:
    if name == "opa":
        from policyd.adapters.engines.opa import OpaEngine

        opa = require_opa(settings)
        return lambda policy_set: OpaEngine(policy_set, opa)

    @contextmanager
    def embedded(policy_set: PolicySet) -> Iterator[PolicyEngine]:
        with EmbeddedEngine(policy_set, coverage=reports is not None) as engine:
            yield engine
            if reports is not None:
                reports.extend(engine.coverage())

    return embedded


def _run_folder(folder: PolicyFolder, factory: Factory) -> Iterator[RuleTestResult]:
    if not any(kind_of(path) in _TESTS and folder.holds(path) for path in folder.files):
        return
    explained = 0
    for result in run_rule_tests(folder.files, factory, prefix=folder.prefix, wanted=folder.holds):
        if not result.passed and not result.errored and explained < MAX_EXPLAINED:
            explained += 1
            yield replace(result, details=_explain(folder.files, result))
        else:
            yield result
    tables = {
        path: read_table(path, content)
        for path, content in sorted(folder.files.items())
        if kind_of(path) is FileKind.TABLE and folder.holds(path)
    }
    if not tables:
        return
    policy_set = read_policy_set(folder.files, "the policies under test", prefix=folder.prefix)
    by_settings: dict[str, list[tuple[str, Table, Case]]] = {}
    for path, table in tables.items():
        for case in table.cases:
            by_settings.setdefault(json.dumps(case.settings, sort_keys=True), []).append((path, table, case))
    for cases in by_settings.values():
        # Settings are data of the set: each kind of them is a set, and an engine, of its own.
        configured = _with_settings(policy_set, cases[0][0], cases[0][2].settings)
        with factory(configured) as engine:
            for path, table, case in cases:
                yield _run_case(path, table, case, configured, engine, folder.files)


def _with_settings(policy_set: PolicySet, path: str, settings: Mapping[str, Any]) -> PolicySet:
    return policy_set.with_settings(choose(policy_set.settings, Wishes(settings, f"settings in {path}")))


def _run_case(
    path: str, table: Table, case: Case, policy_set: PolicySet, engine: PolicyEngine, files: Mapping[str, bytes]
) -> RuleTestResult:
    result = RuleTestResult(f"{path}: {case.name}", "", path, engine.ref.name)
    beside = next(rule for rule in policy_set.catalogue.values() if rule.path == rule_beside(path))
    require_known(table.rules, policy_set.catalogue, where=path)
    rules = tuple(policy_set.catalogue[rule_id] for rule_id in table.rules) or (beside,)
    decision = _decide(path, case, rules, policy_set, engine, files)
    if decision.problems:
        details = tuple(f"{problem.rule or problem.where}: {problem.message}" for problem in decision.problems)
        return replace(result, reason="error: a rule could not be evaluated", errored=True, details=details)
    difference = find_difference(beside.id, case.expect, decision.violations)
    if difference is None:
        return result
    details = tuple(f"- expected, not found: {words}" for words in difference.missing)
    details += tuple(f"+ found, not expected: {words}" for words in difference.unexpected)
    return replace(result, reason="found something else than expected", details=details)


def _decide(
    path: str,
    case: Case,
    rules: tuple[RuleMeta, ...],
    policy_set: PolicySet,
    engine: PolicyEngine,
    files: Mapping[str, bytes],
) -> Decision:
    now = _moment(path, case.evaluated_at)
    locate: Callable[[JsonPath], Place | None] = _nowhere
    if case.pipeline is not None:
        pipeline = read_pipeline(case.path or case.pipeline, require_file(path, case.pipeline, files))
        locate = pipeline.source_map.place
        content = (
            make_pipeline_input(pipeline, make_repository([pipeline]), governance="self", now=now)
            .model_dump_json()
            .encode()
        )
    elif case.input_file is not None:
        content = require_file(path, case.input_file, files)
        read_json(content, where=case.input_file, max_bytes=MAX_TABLE_BYTES, max_depth=_MAX_INPUT_DEPTH)
    else:
        content = json.dumps(case.input).encode()
    return decide(
        rules,
        engine.query([rule.entrypoint for rule in rules], content),
        now=now,
        subject=Subject(gate=Gate.PIPELINE, name=case.name, input_sha256=sha256_hex(content)),
        document=json.loads(content),
        locate=locate,
        policy_set=policy_set.ref,
        engine=engine.ref,
        governance="self",
    )


def _moment(path: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PolicyError(f"evaluated_at is {text!r}", where=path, fix='write it like "2026-01-01T00:00:00Z"')
    return moment


def _nowhere(_at: JsonPath) -> Place | None:
    return None


def _explain(files: Mapping[str, bytes], result: RuleTestResult) -> tuple[str, ...]:
    """Say at which line a Rego test stopped: it is run once more, alone, with its lines counted."""
    policy_set = read_policy_set(files, "the policies under test", prefix=find_prefix(files)).with_tests()
    try:
        with EmbeddedEngine(policy_set, coverage=True) as engine:
            engine.query([result.name], b"{}")
            [covered] = unite_coverage(engine.coverage(), [result.path])
    except PolicydError:
        return ()  # what only OPA may evaluate can't be looked at here
    text = policy_set.tests[result.path]
    line = find_stop(text, result.name.rpartition(".")[2], covered.reached)
    if line is None:
        return ()
    stopped = (f"stopped at {result.path}:{line}", f"  {text.split(chr(10))[line - 1].strip()}")
    return stopped + _show_compared(policy_set, result, text, line)


def _show_compared(policy_set: PolicySet, result: RuleTestResult, text: str, line: int) -> tuple[str, ...]:
    """Say what the variable held that was compared in the line where the test stopped."""
    package, _, test = result.name.rpartition(".")
    compared = show_compared(text, test, line)
    if compared is None:
        return ()
    name, module = compared
    try:
        with EmbeddedEngine(replace(policy_set, modules={**policy_set.modules, result.path: module})) as engine:
            shown = engine.query([f"{package}.{SHOWN}"], b"{}")[f"{package}.{SHOWN}"].value
    except PolicydError:
        return ()
    values = shown if isinstance(shown, list) else []
    return tuple(f"  {name} was {json.dumps(value)[:MAX_SHOWN_CHARACTERS]}" for value in values[:3])
