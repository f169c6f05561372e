"""The labelled pipelines of `tests/corpus`: what each line of them should be found guilty of, and what policyd finds.

A case is a folder `tests/corpus/<system>/<case>/` that stands for a repository: each file lies where it would there.
A line that is wrong ends in a comment with the rules that should name it, `# <-- injection.untrusted_expression`, or
several with commas between them. A line without such a comment is right: whatever is found there is a false alarm. What
is known to be missed or to be a false alarm says so, `# <-- missed: RULE` or `# <-- false: RULE`; both count against
policyd all the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from policyd.app.check import judge_all
from policyd.app.judging import Judge, open_judge
from policyd.models.settings import ProjectSettings
from policyd.pipeline.kinds import find_kind
from policyd.pipeline.reading import read_pipeline
from policyd.report.personas import Persona, shown_to

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "corpus"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
_MARK = re.compile(r"#\s*<--\s*(?P<labels>[^#]*)$")
_LABEL = re.compile(r"(?:(?P<known>missed|false):\s*)?(?P<rule>[a-z_]+\.[a-z0-9_]+)$")


@dataclass(frozen=True, order=True, slots=True)
class Finding:
    """That a rule names a line of a file in a case."""

    case: str
    file: str
    line: int
    rule: str


@dataclass(frozen=True, slots=True)
class Case:
    """A repository with labels: the files by path, what should be found, what is known to be missed or false."""

    name: str
    files: dict[str, bytes]
    wanted: frozenset[Finding]
    missed: frozenset[Finding]
    false: frozenset[Finding]


@dataclass(frozen=True, slots=True)
class Measured:
    """What should be found, and what is found."""

    wanted: frozenset[Finding]
    found: frozenset[Finding]

    @property
    def recall(self) -> float:
        """The share of what should be found that is found; 1 where nothing should be."""
        return len(self.wanted & self.found) / len(self.wanted) if self.wanted else 1.0

    @property
    def precision(self) -> float:
        """The share of what is found that should be; 1 where nothing is found."""
        return len(self.wanted & self.found) / len(self.found) if self.found else 1.0


def read_cases(folder: Path = CORPUS) -> list[Case]:
    """Return every case below `folder`, in order; `ValueError` where a label can't be read."""
    return [
        _read_case(case, f"{system.name}/{case.name}")
        for system in sorted(folder.iterdir())
        if system.is_dir()
        for case in sorted(system.iterdir())
        if case.is_dir()
    ]


def _read_case(folder: Path, name: str) -> Case:
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    labels: dict[str | None, set[Finding]] = {None: set(), "missed": set(), "false": set()}
    for file, content in files.items():
        for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
            if (mark := _MARK.search(line)) is None:
                continue
            for text in mark["labels"].split(","):
                label = _LABEL.match(text.strip())
                if label is None:
                    raise ValueError(f"{name}/{file}:{number}: not a label: {text.strip()!r}")
                labels[label["known"]].add(Finding(name, file, number, label["rule"]))
    wanted = frozenset(labels[None] | labels["missed"])
    return Case(name, files, wanted, frozenset(labels["missed"]), frozenset(labels["false"]))


def measure(cases: Sequence[Case]) -> Measured:
    """Return what all `cases` want and what `policyd check` finds in them, as it stands without settings."""
    found: set[Finding] = set()
    with open_judge(None, ProjectSettings(policyd="project/v1"), root=ROOT) as judge:
        for case in cases:
            found |= find_in(case, judge)
    return Measured(frozenset().union(*(case.wanted for case in cases)), frozenset(found))


def find_in(case: Case, judge: Judge) -> frozenset[Finding]:
    """Return what a check of the case shows to a regular user.

    Raises `PolicydError` for a file that nobody can read, and `ValueError` where a rule did not answer.
    """
    read = [
        read_pipeline(path, content, case.files.get)
        for path, content in case.files.items()
        if find_kind(path, content) is not None
    ]
    findings = shown_to(judge_all(judge, read, [], NOW), Persona.REGULAR)
    if problems := [problem for judged in findings.judged for problem in judged.decision.problems]:
        raise ValueError(f"{case.name}: undecided: {problems[0]}")
    return frozenset(
        Finding(case.name, violation.place.file, violation.place.line, violation.rule)
        for judged in findings.judged
        for violation in judged.decision.violations
        if violation.place is not None
    )


def report(measured: Measured) -> Iterator[str]:
    """Give a line for each system with its recall and precision, and one for each miss and false alarm."""
    for finding in sorted(measured.wanted - measured.found):
        yield f"missed  {finding.case}/{finding.file}:{finding.line}: {finding.rule}"
    for finding in sorted(measured.found - measured.wanted):
        yield f"false   {finding.case}/{finding.file}:{finding.line}: {finding.rule}"
    systems = sorted({finding.case.partition("/")[0] for finding in measured.wanted | measured.found})
    for system in [*systems, ""]:
        of_system = Measured(
            *(
                frozenset(finding for finding in findings if finding.case.startswith(f"{system}/" if system else ""))
                for findings in (measured.wanted, measured.found)
            )
        )
        yield (
            f"{system or 'all':8}{len(of_system.wanted):5} labels, {len(of_system.found):5} findings, "
            f"recall {of_system.recall:.3f}, precision {of_system.precision:.3f}"
        )


def main(arguments: Sequence[str]) -> int:
    """Print how policyd does on the corpus, or on the folder of that shape that is named."""
    cases = read_cases(Path(arguments[0]) if arguments else CORPUS)
    for line in report(measure(cases)):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
