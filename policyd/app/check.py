"""`policyd check`: judge the pipelines under some paths, without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.settings import find_authority, find_project_settings
from policyd.adapters.sources.discovery import find_pipeline_files, read_beneath
from policyd.app.judging import Judge, make_repository, open_judge
from policyd.app.projects import find_root
from policyd.errors import ExitCode, PolicydError, UsageError, worst
from policyd.models.decision import Severity, Verdict
from policyd.pipeline.reading import ReadPipeline, read_pipeline
from policyd.policy.catalogue import Catalogue
from policyd.report.findings import Findings, Judged, Unreadable

EXIT_OF_VERDICT = {
    Verdict.ALLOW: ExitCode.OK,
    Verdict.DENY: ExitCode.REFUSED,
    Verdict.UNDECIDED: ExitCode.UNDECIDED,
    Verdict.NOT_EVALUATED: ExitCode.NOT_EVALUATED,
}
MAX_PIPELINE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found, with the catalogue that explains its rules."""

    findings: Findings
    catalogue: Catalogue

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of everything judged and everything that could not be."""
        codes = [EXIT_OF_VERDICT[judged.decision.verdict] for judged in self.findings.judged]
        codes += [ExitCode.UNDECIDED for _ in self.findings.unreadable]
        return worst(*codes)


def check(
    paths: Sequence[Path],
    *,
    settings: Path | None,
    engine: str | None,
    fail_on: Severity | None,
    now: datetime,
) -> Checked:
    """Judge every pipeline named by or found under `paths`.

    A file named that does not parse raises `DocumentError`; one found under a folder is listed as unreadable and
    makes the whole undecided, and the others are judged all the same.
    """
    root = find_root(paths[0])
    authority = find_authority(settings, repository=root)
    read, unreadable = read_paths(paths)
    with open_judge(authority, find_project_settings(root), engine=engine, fail_on=fail_on) as judge:
        return Checked(judge_all(judge, read, unreadable, now), judge.policy_set.catalogue)


def read_paths(paths: Sequence[Path]) -> tuple[list[ReadPipeline], list[Unreadable]]:
    """Return the pipelines named by or found under `paths`, and the files found that can't be read as pipelines."""
    read: list[ReadPipeline] = []
    unreadable: list[Unreadable] = []
    for path in paths:
        _read_path(path, read, unreadable)
    return read, unreadable


def _read_path(path: Path, read: list[ReadPipeline], unreadable: list[Unreadable]) -> None:
    if not path.exists():
        raise UsageError("there is no such path", where=str(path), fix="check the spelling")
    if not path.is_dir():
        parent, name = path.resolve().parent, path.resolve().name
        content = read_beneath(parent, name, max_bytes=MAX_PIPELINE_BYTES)
        # Dialects are told by path and content, so the path from the project's root matters.
        root = find_root(path)
        shown = path.resolve().relative_to(root).as_posix()
        read.append(read_pipeline(shown, content))
        return
    for found in find_pipeline_files(path):
        shown = (path / found.path).as_posix().removeprefix("./")
        if found.content is None:
            unreadable.append(Unreadable.of(shown, found.require_error()))
            continue
        try:
            read.append(read_pipeline(shown, found.content))
        except PolicydError as error:
            unreadable.append(Unreadable.of(shown, error))


def judge_all(judge: Judge, read: list[ReadPipeline], unreadable: list[Unreadable], now: datetime) -> Findings:
    """Return the decision on each pipeline, with the files nobody could read."""
    repository = make_repository(read)
    judged = tuple(
        Judged(pipeline.ref.path, judge.judge_pipeline(pipeline, repository, now=now), pipeline.content)
        for pipeline in read
    )
    return Findings(judged, tuple(unreadable))
