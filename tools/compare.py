"""What other tools find of what policyd's fixtures are labelled with: `docs/comparison.md`, rule by rule.

Fixtures are the examples of the rules and the labelled pipelines of `tests/corpus`. Each is laid out as a repository of
its own, without the marks that say where a finding belongs, and every tool is run over it offline (tools/peers.py). An
example speaks of its own rule alone; what else may be said of it is not counted. A case of the corpus is labelled for
all rules.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from policyd.adapters.engines.embedded import EmbeddedEngine
from policyd.adapters.library import library_files
from policyd.app.check import judge_all
from policyd.app.judging import make_pipeline_input, make_repository, open_judge
from policyd.models.decision import Gate
from policyd.models.settings import ProjectSettings
from policyd.pipeline.kinds import find_kind
from policyd.pipeline.linking import link
from policyd.pipeline.reading import read_pipeline
from policyd.policy.chosen_settings import Wishes, choose
from policyd.policy.policy_files import is_example
from policyd.policy.policy_set import PolicySet, read_policy_set
from tools.corpus import NOW, ROOT, Finding, find_in, read_cases
from tools.corpus import Case as LabelledCase
from tools.peers import CHECKS, COMMANDS, NOT_ASKED, READS, VERSIONS, Said, ask, rules_of, version

PAGE = ROOT / "docs" / "comparison.md"
SYSTEMS: Mapping[str, str] = {
    "github": "GitHub Actions",
    "gitlab": "GitLab CI",
    "azure": "Azure Pipelines",
    "tekton": "Tekton",
}
_MARK = re.compile(rb"[ \t]*# <-- [^\n#]*$", re.MULTILINE)
_HERE = "# <-- here"
_FILE = "# file: "
_SETTINGS = "# settings: "
_EVERYWHERE = 0  # the line of a label that holds for its whole file


@dataclass(frozen=True, slots=True)
class Fixture:
    """A repository, what should be found in it, and the only rule that it speaks of, `""` for all."""

    name: str
    system: str
    files: Mapping[str, bytes]  # without marks
    wanted: frozenset[Finding]
    rule: str
    labelled: frozenset[str]  # the files of which it is known what is wrong with them
    main: str = ""  # the file of an example that its rule is asked about
    settings: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How a tool does: labels, those named at their line, those named elsewhere in their file, and false alarms."""

    labels: int
    at_line: int
    in_file: int
    false: int


def read_fixtures() -> list[Fixture]:
    """Return all examples and cases of the systems that other tools read too."""
    files = library_files(tests=True)
    examples = (_read_example(path, files) for path in sorted(files) if _is_own_example(path))
    cases = (_from_case(case) for case in read_cases())
    return [fixture for fixture in (*examples, *cases) if fixture.system in SYSTEMS]


def _is_own_example(path: str) -> bool:
    return is_example(path) and not path.rpartition("/")[2].startswith("with-")


def _read_example(path: str, files: Mapping[str, bytes]) -> Fixture:
    family, name, _, file = path.split("/")
    rule, folder = f"{family}.{name}", path.rpartition("/")[0]
    main, system = _place(path, files[path])
    laid = {main: files[path]}
    for beside in sorted(files):
        if beside.startswith(f"{folder}/with-") and is_example(beside):
            laid[_place(beside, files[beside])[0]] = files[beside]
    stripped = {place: _MARK.sub(b"", content) for place, content in laid.items()}
    included = {name for name in read_pipeline(main, stripped[main], stripped.get).included if name in laid}
    wanted = {
        Finding(path, place, number, rule)
        for place in {main, *included}
        for number, line in enumerate(laid[place].decode().splitlines(), start=1)
        if _HERE in line and file.startswith("bad")
    }
    if not wanted and file.startswith("bad"):
        wanted = {Finding(path, main, _EVERYWHERE, rule)}
    first = files[path].decode().partition("\n")[0]
    settings = first.removeprefix(_SETTINGS) if first.startswith(_SETTINGS) else ""
    return Fixture(path, system, stripped, frozenset(wanted), rule, frozenset({main, *included}), main, settings)


def _place(path: str, content: bytes) -> tuple[str, str]:
    """Return where an example lies in its repository, and its system."""
    first = content.decode().partition("\n")[0]
    named = first.removeprefix(_FILE).strip() if first.startswith(_FILE) else ""
    system, kind = find_kind(named or path, content) or ("", "")
    usual = {
        ("github", "workflow"): ".github/workflows/example.yml",
        ("github", "action"): ".github/actions/example/action.yml",
        ("github", "settings"): ".github/dependabot.yml",
        ("gitlab", "component"): "templates/example.yml",
        ("azure", "template"): "templates/example.yml",
    }
    names = {"gitlab": ".gitlab-ci.yml", "azure": "azure-pipelines.yml", "tekton": ".tekton/example.yaml"}
    return named or usual.get((system, kind)) or names.get(system, "policyd.pipeline.yml"), system


def _from_case(case: LabelledCase) -> Fixture:
    stripped = {path: _MARK.sub(b"", content) for path, content in case.files.items()}
    return Fixture(case.name, case.name.partition("/")[0], stripped, case.wanted, "", frozenset(stripped))


def ask_policyd(fixtures: Iterable[Fixture], library: PolicySet) -> Iterator[Said]:
    """Yield what policyd says: of an example its rule alone, of a case what a check shows."""
    engines: dict[str, EmbeddedEngine] = {}
    with ExitStack() as opened:
        judge = opened.enter_context(open_judge(None, ProjectSettings(policyd="project/v1"), root=ROOT))
        for fixture in fixtures:
            if not fixture.rule:
                case = LabelledCase(fixture.name, dict(fixture.files), frozenset(), frozenset(), frozenset())
                for found in find_in(case, judge):
                    yield Said(found.case, found.file, found.line, found.line, found.rule)
                continue
            key = f"{fixture.rule} {fixture.settings}" if fixture.settings else ""
            if key not in engines:
                engines[key] = opened.enter_context(EmbeddedEngine(_with_settings(library, fixture)))
            yield from _ask_rule(fixture, library, engines[key])


def find_besides(fixtures: Iterable[Fixture]) -> frozenset[Finding]:
    """Return what policyd's other rules find in the examples: to name that is no false alarm, and no merit."""
    found: set[Finding] = set()
    with open_judge(None, ProjectSettings(policyd="project/v1"), root=ROOT) as judge:
        for fixture in fixtures:
            if not fixture.rule:
                continue
            read = [read_pipeline(name, content, fixture.files.get) for name, content in fixture.files.items()]
            for judged in judge_all(judge, read, [], NOW).judged:
                for violation in judged.decision.violations:
                    if violation.rule != fixture.rule and violation.place is not None:
                        place = violation.place
                        found.add(Finding(fixture.name, place.file, place.line, violation.rule))
    return frozenset(found)


def _with_settings(library: PolicySet, fixture: Fixture) -> PolicySet:
    if not fixture.settings:
        return library
    wishes = Wishes({fixture.rule: json.loads(fixture.settings)}, fixture.name)
    return library.with_settings(choose(library.settings, wishes))


def _ask_rule(fixture: Fixture, library: PolicySet, engine: EmbeddedEngine) -> Iterator[Said]:
    names = [fixture.main, *(name for name in fixture.files if name != fixture.main)]
    pipelines = link([read_pipeline(name, fixture.files[name], fixture.files.get) for name in names])
    document = make_pipeline_input(pipelines[0], make_repository(pipelines), governance="self", now=NOW)
    entrypoint = library.catalogue[fixture.rule].entrypoint
    answer = engine.query([entrypoint], document.model_dump_json().encode())[entrypoint]
    if not isinstance(answer.value, list):
        raise TypeError(f"{fixture.name}: {answer.error or answer.value}")
    for violation in answer.value:
        place = pipelines[0].source_map.place(tuple(violation["at"]))
        file, line = (place.file, place.line) if place else (fixture.main, 1)
        yield Said(fixture.name, file, line, line, fixture.rule)


@dataclass(frozen=True, slots=True)
class Counted:
    """How a tool does by system and rule, and the labels that it does not name at their line."""

    by_rule: Mapping[tuple[str, str], Count]
    missed: frozenset[Finding]
    false: frozenset[Said]

    def total(self, system: str, rules: Container[str] | None = None) -> Count:
        """Return the sum over a system's rules, or over those of them in `rules`."""
        of_system = [
            one for (name, rule), one in self.by_rule.items() if name == system and (rules is None or rule in rules)
        ]
        return Count(
            sum(one.labels for one in of_system),
            sum(one.at_line for one in of_system),
            sum(one.in_file for one in of_system),
            sum(one.false for one in of_system),
        )


def count(
    fixtures: Sequence[Fixture],
    said: Iterable[Said],
    speaks_of: Mapping[str, Sequence[str]] | None,
    besides: frozenset[Finding] = frozenset(),
) -> Counted:
    """Return how a tool does; `speaks_of` gives the rules that its checks speak of, `None` for policyd.

    A finding fits a label of the same file whose rule its check speaks of. It stands at the label where the lines that
    it names hold the label's, elsewhere where they don't. In a labelled file without a fitting label it is a false
    alarm, counted for the first of its rules, unless it may mean one of `besides`: what an example is also guilty of.
    policyd's own findings are false alarms wherever they stand at no label.
    """
    also: dict[str, list[Finding]] = {}
    for finding in besides:
        also.setdefault(finding.case, []).append(finding)
    by_name = {fixture.name: fixture for fixture in fixtures}
    at_line: set[Finding] = set()
    in_file: set[Finding] = set()
    false: set[Said] = set()
    alarms: Counter[tuple[str, str]] = Counter()
    for one in set(said):
        fixture = by_name[one.case]
        meant = (one.check,) if speaks_of is None else tuple(speaks_of.get(one.check, ()))
        rules = tuple(rule for rule in meant if fixture.rule in ("", rule))
        labels = {label for label in fixture.wanted if label.file == one.file and label.rule in rules}
        exact = {label for label in labels if label.line == _EVERYWHERE or one.first <= label.line <= one.last}
        if speaks_of is None:
            labels = exact
        at_line |= exact
        in_file |= labels
        other = any(
            finding.file == one.file and one.first <= finding.line <= one.last and finding.rule in meant
            for finding in also.get(one.case, ())
        )
        if rules and not labels and not other and one.file in fixture.labelled:
            false.add(one)
            alarms[fixture.system, rules[0]] += 1
    wanted = Counter((fixture.system, label.rule) for fixture in fixtures for label in fixture.wanted)
    there = Counter((by_name[label.case].system, label.rule) for label in at_line)
    near = Counter((by_name[label.case].system, label.rule) for label in in_file - at_line)
    by_rule = {key: Count(wanted[key], there[key], near[key], alarms[key]) for key in {*wanted, *alarms}}
    every = frozenset(label for fixture in fixtures for label in fixture.wanted)
    return Counted(by_rule, every - at_line, frozenset(false))


def compare(fixtures: Sequence[Fixture], library: PolicySet) -> dict[str, Counted]:
    """Run policyd and the other tools over the fixtures, and return how each does, by the name of its column."""
    counts = {"policyd": count(fixtures, ask_policyd(fixtures, library), None)}
    besides = find_besides(fixtures)
    with TemporaryDirectory() as temporary:
        for fixture in fixtures:
            (Path(temporary) / fixture.name / ".git").mkdir(parents=True)
            for path, content in fixture.files.items():
                file = Path(temporary) / fixture.name / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
        for peer in COMMANDS:
            cases = {fixture.name: fixture.files for fixture in fixtures if fixture.system in READS[peer]}
            counts[peer] = count(fixtures, ask(peer, Path(temporary), cases), CHECKS[peer], besides)
    return counts


def render(counts: Mapping[str, Counted], library: PolicySet, versions: Mapping[str, str], today: str) -> str:
    """Return the page."""
    told = ", ".join(f"{tool} {number}" for tool, number in versions.items())
    lines = [*_BEFORE.format(date=today, versions=told).splitlines(), "", *_summary(counts), ""]
    for system, title in SYSTEMS.items():
        lines += [f"## {title}", "", *_rules(system, counts, library), ""]
    return "\n".join([*lines, *_missed(counts["policyd"]), "", *_mapping(), "", *_AFTER.splitlines()]) + "\n"


def _summary(counts: Mapping[str, Counted]) -> Iterator[str]:
    yield (
        "| system | tool | named at the line | elsewhere in the file | recall | recall where it has a check |"
        " false alarms | precision |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for system, title in SYSTEMS.items():
        for peer, counted in counts.items():
            if peer != "policyd" and system not in READS[peer]:
                continue
            all_ = counted.total(system)
            own = all_ if peer == "policyd" else counted.total(system, rules_of(peer, system))
            named = all_.at_line + all_.in_file
            yield (
                f"| {title} | {peer} | {all_.at_line} of {all_.labels} | {all_.in_file} "
                f"| {_share(named, all_.labels)} | {_share(named, own.labels)} "
                f"| {all_.false} | {_share(named, named + all_.false)} |"
            )


def _share(part: int, whole: int) -> str:
    return f"{part * 100 // whole / 100:.2f}" if whole else "–"  # cut, so that 1.00 is all


def _rules(system: str, counts: Mapping[str, Counted], library: PolicySet) -> Iterator[str]:
    peers = ["policyd", *(peer for peer in COMMANDS if system in READS[peer])]
    yield f"| rule | {' | '.join(peers)} |"
    yield f"|---|{'---|' * len(peers)}"
    for rule in sorted(library.catalogue.values(), key=lambda rule: rule.id):
        if rule.gate is Gate.PIPELINE and system in rule.applies_to:
            cells = (
                _cell(
                    counts[peer].by_rule.get((system, rule.id)), peer == "policyd" or rule.id in rules_of(peer, system)
                )
                for peer in peers
            )
            yield f"| [{rule.id}](rules/{rule.id}.md) | {' | '.join(cells)} |"


def _cell(counted: Count | None, has_check: bool) -> str:
    if counted is None or not has_check:
        return "–"
    parts = [f"{counted.at_line} of {counted.labels}"]
    if counted.in_file:
        parts.append(f"{counted.in_file} elsewhere")
    if counted.false:
        parts.append(f"{counted.false} false")
    return ", ".join(parts)


def _missed(counted: Counted) -> Iterator[str]:
    yield "## What policyd misses and where it is wrong here"
    yield ""
    if not counted.missed and not counted.false:
        yield "Nothing in these fixtures."
    for label in sorted(counted.missed):
        yield f"- missed: {label.rule} in `{label.case}`, `{label.file}` line {label.line or 'any'}"
    for one in sorted(counted.false):
        yield f"- false alarm: {one.check} in `{one.case}`, `{one.file}` line {one.first}"


def _mapping() -> Iterator[str]:
    yield "## Which checks count for which rules"
    yield ""
    yield "| check | rules |"
    yield "|---|---|"
    for peer, checks in CHECKS.items():
        if peer != "zizmor auditor":
            for check, rules in checks.items():
                yield f"| {peer} {check} | {', '.join(rules)} |"
    yield ""
    yield "Not counted:"
    yield ""
    for check, reason in NOT_ASKED.items():
        yield f"- {check}: {reason}"


_BEFORE = """\
# Beside other tools

What policyd and other tools find of what policyd's own fixtures are labelled with. Made by `make compare` on {date}
with {versions}, offline.

Read it with care. The fixtures are policyd's: the examples of its rules and the labelled pipelines of `tests/corpus`,
written by those who wrote the rules, so its own column says that the rules do what their examples say and little more.
The other tools look for other things too, which nothing here counts. How policyd does on pipelines that it was not
written for, this page can't say.

How it is counted:

- Each fixture is a repository of its own, without the marks that say where a finding belongs.
- A label is *named at the line* where a finding of a check that speaks of its rule covers its line: the whole range
  counts, which for checkov is a step or a job. *Elsewhere* is a fitting finding in the same file at other lines, which
  policyd is not granted: there it has missed one and raised a false alarm.
- A *false alarm* is a fitting check's finding in a file without such a label. Of an example only findings about its own
  rule count, and none at a line where policyd names another rule of the same check; a case of the corpus is labelled
  for all rules.
- *Recall* is the share of labels named, anywhere in their file; *precision* the labels named, of those and the false
  alarms.
- policyd is asked rule by rule for the examples, and as `policyd check` shows it to a regular reader for the corpus.
- `–`: the tool has no check of this, or none that works without network or settings of its own.
- checkov looks into the jobs of an Azure pipeline; most Azure fixtures have their steps at the top, which it passes by.
"""
_AFTER = """\
## What other tools see and policyd does not

- Whether a commit belongs to the repository it is named with, a name is both tag and branch, or a comment's version
  fits the digest: zizmor asks GitHub, policyd asks nobody. Known vulnerabilities are those of policyd's data file.
- Faults that are no weakness: unknown keys, wrong types in expressions, labels of runners, globs, cron lines
  (actionlint), and what shellcheck finds in scripts.
- Secrets by their randomness alone (checkov): policyd goes by known forms, names and places.
- What only the server knows: settings of the repository, protected branches, who may approve
  (gato-x, glato, Scorecard).

What a rule does not see stands on its page in [rules](rules/README.md).

## Tools that are not here

- poutine, octoscan, glato, OpenSSF Scorecard, kube-linter: Go programs which the module proxy did not hand out where
  this page was made.
- gato-x: reads repositories over GitHub's API, with a token; it takes no files.
- semgrep: its rules for pipelines are fetched from a registry.
- CodeQL: is not handed out by a package registry.
- Tekton has no tool here but checkov's search for secrets.

## Making it again

Put zizmor and checkov (PyPI) and actionlint (`go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12`) on the
PATH and run `make compare`. The options are in `tools/peers.py`.
"""


def main() -> int:
    """Write the page; 2 where a tool is missing."""
    versions = {tool: version(tool) for tool in VERSIONS}
    if missing := sorted(tool for tool, found in versions.items() if found is None):
        print(f"not on the PATH: {', '.join(missing)}; docs/comparison.md says where they come from", file=sys.stderr)
        return 2
    library = read_policy_set(library_files(), "library")
    counts = compare(read_fixtures(), library)
    told = {tool: found for tool, found in versions.items() if found}
    PAGE.write_text(render(counts, library, told, datetime.now(UTC).date().isoformat()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
