"""`policyd policy check`: everything wrong with a policy set, before a gate meets it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.engines.opa import TIMEOUT_SECONDS, require_version, run_opa
from policyd.adapters.library import library_folder
from policyd.app.policy_folders import PolicyFolder, read_policy_folders
from policyd.app.policy_opa import find_opa, require_opa
from policyd.errors import EngineError, ExitCode, PolicyError
from policyd.models.base import Model
from policyd.models.decision import Gate
from policyd.models.input import PipelineInput, ReleaseInput, StageInput
from policyd.policy.checking import PolicyProblem, find_set_problems
from policyd.policy.policy_files import FileKind, kind_of
from policyd.policy.policy_set import PolicySet, find_test_entrypoints
from policyd.policy.table_tests import read_table

_INPUTS: dict[Gate, type[Model]] = {Gate.PIPELINE: PipelineInput, Gate.STAGE: StageInput, Gate.RELEASE: ReleaseInput}


@dataclass(frozen=True, slots=True)
class PolicyChecked:
    """The problems of a policy set; `notes` say what could not be looked at here."""

    rules: int
    problems: tuple[PolicyProblem, ...]
    notes: tuple[str, ...]
    unknown: bool = False  # the engine died or took too long: nobody knows

    @property
    def exit_code(self) -> ExitCode:
        """0 where nothing is wrong, 1 where something is, 3 where that could not be found out, 4 without rules."""
        if self.unknown:
            return ExitCode.UNDECIDED
        if self.problems:
            return ExitCode.REFUSED
        return ExitCode.OK if self.rules else ExitCode.NOT_EVALUATED


def check_policies(path: Path | None, *, engine: str, settings: Path | None) -> PolicyChecked:
    """Check the policy set at `path`, the library without one.

    With the engine `opa`, what only OPA answers is allowed; the list of what any policy may call always holds. An
    engine that is asked for has to be there: without OPA, `opa` and `both` raise `SettingsError`.
    """
    opa = find_opa(settings) if engine == "embedded" else require_opa(settings)
    [folder] = read_policy_folders((path,) if path else (), settings=settings)
    if not any(kind_of(file) is FileKind.MODULE for file in folder.files):
        return PolicyChecked(rules=0, problems=(), notes=())
    problems, policy_set = find_set_problems(folder.files, folder.folder.name, tests=not folder.bundle)
    problems += _table_problems(folder.files)
    notes = ["a bundle holds no tests: none were looked for"] if folder.bundle else []
    unknown = False
    if policy_set is not None:
        if engine != "opa":
            found, unknown = _embedded_problems(policy_set)
            problems += found
        if opa is None:
            notes.append("OPA is not installed: strict mode and types of input were not looked at")
        else:
            problems += _opa_problems(policy_set, opa)
    wanted = sorted({problem for problem in problems if _is_wanted(folder, problem)})
    return PolicyChecked(
        rules=len(policy_set.catalogue) if policy_set else 0,
        problems=tuple(wanted),
        notes=tuple(notes),
        unknown=unknown,
    )


def _is_wanted(folder: PolicyFolder, problem: PolicyProblem) -> bool:
    """Say whether the problem lies in the part that was named; one without a file of its own always does."""
    path = problem.where.partition(":")[0].partition(" and ")[0]
    return folder.holds(path) or path not in folder.files


def _table_problems(files: Mapping[str, bytes]) -> Iterator[PolicyProblem]:
    for path, content in sorted(files.items()):
        if kind_of(path) is FileKind.TABLE:
            try:
                read_table(path, content)
            except PolicyError as error:
                yield PolicyProblem(error.where, error.cause, error.fix)


def _embedded_problems(policy_set: PolicySet) -> tuple[list[PolicyProblem], bool]:
    """Compile everything at once; where that fails, each rule and test alone, so that each is named."""
    with_tests = policy_set.with_tests()
    rules = [rule.entrypoint for rule in policy_set.catalogue.values()]
    tests = _tests_by_package(with_tests)
    problems: set[PolicyProblem] = set()
    with EmbeddedEngine(with_tests) as engine:
        try:
            engine.compile([*rules, *tests])
            return [], False
        except EngineError as error:
            return [PolicyProblem(error.where, error.cause, error.fix)], True
        except PolicyError:
            pass
        unknown = False
        for entrypoint in [*rules, *tests]:
            try:
                engine.compile([entrypoint])
            except EngineError as error:
                problems.add(PolicyProblem(error.where, f"{entrypoint}: {error.cause}", error.fix))
                unknown = True
            except PolicyError as error:
                problems.add(PolicyProblem(error.where, error.cause, error.fix))
    return sorted(problems), unknown


def _tests_by_package(policy_set: PolicySet) -> list[str]:
    """Return one test of each test file: they compile together."""
    try:
        tests = find_test_entrypoints(policy_set)
    except PolicyError:  # a test file without a test is named already
        return []
    return list({test.rpartition(".")[0]: test for test in tests}.values())


def _opa_problems(policy_set: PolicySet, opa: Path) -> list[PolicyProblem]:
    """Return what `opa check --strict` says of all modules, then of each gate's rules with the schema of its input."""
    require_version(opa)
    modules = policy_set.with_tests().modules
    problems = _opa_check(opa, modules, None)
    # With a syntax error the types can't be looked at; OPA would say the same again.
    if problems:
        return problems
    for gate, model in _INPUTS.items():
        rules = [rule.entrypoint for rule in policy_set.catalogue.values() if rule.gate is gate]
        if rules:
            problems += _opa_check(opa, policy_set.modules_for(rules), json.dumps(model.model_json_schema()))
    return problems


def _opa_check(opa: Path, modules: Mapping[str, str], schema: str | None) -> list[PolicyProblem]:
    with tempfile.TemporaryDirectory(prefix="policyd-opa-") as made:
        folder = Path(made)
        files = {}
        for number, (path, text) in enumerate(modules.items()):
            file = folder / f"{number:04d}.rego"
            file.write_text(text, encoding="utf-8")
            files[str(file)] = path
        arguments = ["check", "--format=json", "--strict", "--max-errors=50"]
        arguments.append(f"--capabilities={library_folder() / 'capabilities.json'}")
        if schema is not None:
            (folder / "input.json").write_text(schema, encoding="utf-8")
            arguments.append(f"--schema={folder / 'input.json'}")
        code, output = run_opa(opa, [*arguments, *files], TIMEOUT_SECONDS)
    if code == 0:
        return []
    try:
        errors = json.loads(output)["errors"]
        return list(_read_errors(errors, files, "the input of its gate" if schema else "strict mode"))
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"`opa check` ended with status {code}: {' '.join(output.split())[:300]}",
            where=str(opa),
            fix="run it again",
        ) from error


def _read_errors(
    errors: Iterable[Mapping[str, object]], files: Mapping[str, str], what: str
) -> Iterator[PolicyProblem]:
    for error in errors:
        location = error.get("location")
        where = "the policy set"
        if isinstance(location, dict):
            where = f"{files.get(str(location.get('file')), 'the policy set')}:{location.get('row', 1)}"
        message = " ".join(str(error.get("message")).split())
        yield PolicyProblem(where, f"OPA says: {message}", f"correct it there; OPA checks {what}")
