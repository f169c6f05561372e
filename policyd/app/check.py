"""`policyd check`: judge the pipelines under some paths, without running anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from policyd.adapters.output import read_input, write_output
from policyd.adapters.settings import find_authority, find_project_settings
from policyd.adapters.sources.discovery import find_pipeline_files, read_beneath
from policyd.app.judging import Judge, make_repository, open_judge
from policyd.app.projects import find_root
from policyd.app.waivers import load_waivers
from policyd.errors import ExitCode, PolicydError, UsageError, worst
from policyd.models.base import rfc3339
from policyd.models.baseline import Baseline
from policyd.models.decision import Severity, Verdict
from policyd.models.strict_json import read_model
from policyd.pipeline.linking import link
from policyd.pipeline.reading import ReadPipeline, read_pipeline
from policyd.policy.baseline import compare, make_baseline
from policyd.policy.catalogue import Catalogue
from policyd.policy.ignoring import apply_comments
from policyd.report.findings import Findings, Judged, Unreadable

if TYPE_CHECKING:
    from policyd.app.check_record import CheckRecord

EXIT_OF_VERDICT = {
    Verdict.ALLOW: ExitCode.OK,
    Verdict.DENY: ExitCode.REFUSED,
    Verdict.UNDECIDED: ExitCode.UNDECIDED,
    Verdict.NOT_EVALUATED: ExitCode.NOT_EVALUATED,
}
MAX_PIPELINE_BYTES = 10 * 1024 * 1024
MAX_BASELINE_BYTES = 16 * 1024 * 1024  # some 100,000 violations
MAX_BASELINE_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found, with the catalogue that explains its rules."""

    findings: Findings
    catalogue: Catalogue

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of everything judged and everything that could not be."""
        codes = [EXIT_OF_VERDICT[judged.verdict] for judged in self.findings.judged]
        codes += [ExitCode.UNDECIDED for _ in self.findings.unreadable]
        return worst(*codes)


def check(
    paths: Sequence[Path],
    *,
    settings: Path | None,
    engine: str | None,
    fail_on: Severity | None,
    now: datetime,
    effective_time: datetime | None = None,
    baseline: Path | None = None,
    write_baseline: Path | None = None,
    record: Callable[[], str] | None = None,
) -> Checked:
    """Judge every pipeline named by or found under `paths`.

    A file named that does not parse raises `DocumentError`; one found under a folder is listed as unreadable and
    makes the whole undecided, and the others are judged all the same. With `effective_time` the decisions are those of
    another day and say so. What `baseline` knows does not count; `write_baseline` is where all that is found now is
    written as known, which changes nothing about this answer. With `record`, which is asked for the passphrase of the
    decider's key, each decision is signed and recorded as it is, whatever a baseline or a comment says of it.
    """
    if record is not None and effective_time is not None:
        raise UsageError(
            "a decision of another day is never signed, so it can't be recorded",
            where="--record and --effective-time",
            fix="use one of the two",
        )
    root = find_root(paths[0])
    authority = find_authority(settings, repository=root)
    known = _read_baseline(baseline) if baseline else None
    files: list[str] = []
    read, unreadable = read_paths(paths, files=files, root=root)
    weakened = () if effective_time is None else (f"judged as of {rfc3339(effective_time)}, not of {rfc3339(now)}",)
    project = find_project_settings(root)
    waivers = load_waivers(root, authority)
    with ExitStack() as stack:
        recording = None
        if record is not None:
            from policyd.app.check_record import open_check_record

            recording = stack.enter_context(open_check_record(authority, record))
            now = recording.now
        judge = stack.enter_context(
            open_judge(authority, project, root=root, engine=engine, fail_on=fail_on, waivers=waivers)
        )
        if recording is not None:
            recording.begin(judge)
        findings = judge_all(
            judge, read, unreadable, effective_time or now, weakened=weakened, files=files, recording=recording
        )
        if recording is not None:
            recording.finish()
        catalogue = judge.catalogue
    if write_baseline is not None:
        made = make_baseline(zip(files, (judged.decision for judged in findings.judged), strict=True))
        write_output(write_baseline, json.dumps(made.model_dump(exclude_none=True), indent=2).encode() + b"\n")
    if known is not None:
        findings = _compare(findings, files, known, root)
    allowed = project.comments and (authority is None or authority.settings.comments)
    return Checked(_with_comments(findings, catalogue, allowed=allowed), catalogue)


def read_paths(
    paths: Sequence[Path], *, files: list[str] | None = None, root: Path = Path("/")
) -> tuple[list[ReadPipeline], list[Unreadable]]:
    """Return the pipelines named by or found under `paths`, and the files found that can't be read as pipelines.

    `files` is given each pipeline's path from `root`, which stays the same wherever the check is called from.
    """
    read: list[ReadPipeline] = []
    unreadable: list[Unreadable] = []
    places: list[Path] = []
    for path in paths:
        _read_path(path, read, unreadable, places)
    if files is not None:
        files += [_from_root(place.resolve(), root) for place in places]
    return read, unreadable


def _read_path(path: Path, read: list[ReadPipeline], unreadable: list[Unreadable], places: list[Path]) -> None:
    if not path.exists():
        raise UsageError("there is no such path", where=str(path), fix="check the spelling")
    if not path.is_dir():
        parent, name = path.resolve().parent, path.resolve().name
        content = read_beneath(parent, name, max_bytes=MAX_PIPELINE_BYTES)
        # Dialects are told by path and content, so the path from the project's root matters.
        root = find_root(path)
        shown = path.resolve().relative_to(root).as_posix()
        read.append(read_pipeline(shown, content, _find_beneath((root, ""))))
        places.append(path)
        return
    # Files below a folder are shown, and name each other, from where the check is called.
    find_file = _find_beneath((path, f"{path.as_posix()}/".removeprefix("./")), (find_root(path), ""))
    for found in find_pipeline_files(path):
        shown = (path / found.path).as_posix().removeprefix("./")
        if found.content is None:
            unreadable.append(Unreadable.of(shown, found.require_error()))
            continue
        try:
            read.append(read_pipeline(shown, found.content, find_file))
            places.append(path / found.path)
        except PolicydError as error:
            unreadable.append(Unreadable.of(shown, error))


def _find_beneath(*folders: tuple[Path, str]) -> Callable[[str], bytes | None]:
    """Return what reads a file that a pipeline includes, below the first folder that has it.

    Each folder comes with the beginning of the names that are meant from there.
    """

    def find_file(name: str) -> bytes | None:
        for folder, beginning in folders:
            if name.startswith(beginning):
                try:
                    return read_beneath(folder, name.removeprefix(beginning), max_bytes=MAX_PIPELINE_BYTES)
                except PolicydError:
                    continue
        return None

    return find_file


def _from_root(path: Path, root: Path) -> str:
    # Several paths may lie in several projects: those of another one are named in full.
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def judge_all(
    judge: Judge,
    read: list[ReadPipeline],
    unreadable: list[Unreadable],
    now: datetime,
    *,
    weakened: tuple[str, ...] = (),
    files: Sequence[str] = (),
    recording: CheckRecord | None = None,
) -> Findings:
    """Return the decision on each pipeline, with the files nobody could read.

    `files` has the path of each from the project's root, where they were read by other ones. `recording` takes each
    decision. What passes between the files is put together first, of all that was read.
    """
    repository, read = make_repository(read), link(read)
    named = files or [pipeline.ref.path for pipeline in read]
    judged = []
    for pipeline, file in zip(read, named, strict=True):
        documents: list[bytes] = []
        decision = judge.judge_pipeline(
            pipeline, repository, now=now, weakened=weakened, file=file, keep=documents.append
        )
        if recording is not None:
            recording.take(pipeline, decision, documents[0])
        judged.append(Judged(pipeline.ref.path, decision, pipeline.content))
    return Findings(tuple(judged), tuple(unreadable))


def _with_comments(findings: Findings, catalogue: Catalogue, *, allowed: bool) -> Findings:
    judged = []
    for one in findings.judged:
        ignored = apply_comments(one.decision, one.content, one.path, known_rules=catalogue, allowed=allowed)
        judged.append(replace(one, ignored=ignored.reasons, notes=ignored.notes))
    return replace(findings, judged=tuple(judged))


def _read_baseline(path: Path) -> Baseline:
    content = read_input(path, max_bytes=MAX_BASELINE_BYTES)
    return read_model(Baseline, content, where=str(path), max_bytes=MAX_BASELINE_BYTES, max_depth=MAX_BASELINE_DEPTH)


def _compare(findings: Findings, files: list[str], baseline: Baseline, root: Path) -> Findings:
    missing = {entry.file for entry in baseline.known if not (root / entry.file).exists()}
    compared = compare(
        baseline, list(zip(files, (judged.decision for judged in findings.judged), strict=True)), missing=missing
    )
    judged = tuple(replace(one, known=known) for one, known in zip(findings.judged, compared.known, strict=True))
    return replace(findings, judged=judged, gone=compared.gone)
