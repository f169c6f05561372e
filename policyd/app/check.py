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
from policyd.adapters.stores.check_cache import open_cache
from policyd.app.check_again import Follows
from policyd.app.check_cache import Known, Remembered, recall
from policyd.app.check_sharing import count_processes, judge_shared
from policyd.app.check_sources import MAX_PIPELINE_BYTES, Source, find_sources, read_paths, read_sources
from policyd.app.judging import Judge, make_repository, open_judge
from policyd.app.projects import find_root
from policyd.app.waivers import load_waivers
from policyd.errors import ExitCode, UsageError, worst
from policyd.models.base import rfc3339
from policyd.models.baseline import Baseline
from policyd.models.decision import Decision, Gate, Severity, Verdict
from policyd.models.strict_json import read_model
from policyd.pipeline.kinds import DIALECTS, find_dialect
from policyd.pipeline.linking import link
from policyd.pipeline.reading import ReadPipeline
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
MAX_BASELINE_BYTES = 16 * 1024 * 1024  # some 100,000 violations
MAX_BASELINE_DEPTH = 8


__all__ = ["EXIT_OF_VERDICT", "MAX_PIPELINE_BYTES", "Checked", "check", "judge_all", "read_paths"]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found, with the catalogue that explains its rules."""

    findings: Findings
    catalogue: Catalogue
    follows: Follows | None  # from what, where the same command may be answered alike another time

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
    cache: Path | None = None,
    sources: Sequence[Source] | None = None,
) -> Checked:
    """Judge every pipeline named by or found under `paths`.

    A file named that does not parse raises `DocumentError`; one found under a folder is listed as unreadable and
    makes the whole undecided, and the others are judged all the same. With `effective_time` the decisions are those of
    another day and say so. What `baseline` knows does not count; `write_baseline` is where all that is found now is
    written as known, which changes nothing about this answer. With `record`, which is asked for the passphrase of the
    decider's key, each decision is signed and recorded as it is, whatever a baseline or a comment says of it. `cache`
    is the folder where what rules found is kept for the same check another time; a recorded one never looks there.
    `sources` are those of `paths` where they were looked for already.
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
    weakened = () if effective_time is None else (f"judged as of {rfc3339(effective_time)}, not of {rfc3339(now)}",)
    project = find_project_settings(root)
    sources = list(find_sources(paths)) if sources is None else sources
    # Nobody should give a passphrase for what can't be read.
    whole = None if record is None else _read(sources, root)
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
        moment = effective_time or now
        follows = None
        if whole is not None:
            read, unreadable, files = whole
            findings = judge_all(judge, read, unreadable, moment, weakened=weakened, files=files, recording=recording)
        else:
            shared = (engine or (authority.settings.engine if authority else "embedded")) == "embedded"
            kept = recall(open_cache(cache, outside=root) if cache else None, judge, sources, root)
            answers = _judge_sources(judge, sources, kept, root, moment, weakened, shared=shared)
            findings, files = _put_together(sources, answers, root)
            if kept is not None and authority is None and project.policies is None:
                follows = _follows(judge, answers, moment)
        if recording is not None:
            recording.finish()
        catalogue = judge.catalogue
    if write_baseline is not None:
        made = make_baseline(zip(files, (judged.decision for judged in findings.judged), strict=True))
        write_output(write_baseline, json.dumps(made.model_dump(exclude_none=True), indent=2).encode() + b"\n")
    if known is not None:
        findings = _compare(findings, files, known, root)
    allowed = project.comments and (authority is None or authority.settings.comments)
    return Checked(_with_comments(findings, catalogue, allowed=allowed), catalogue, follows)


def _judge_sources(
    judge: Judge,
    sources: Sequence[Source],
    kept: Remembered | None,
    root: Path,
    now: datetime,
    weakened: tuple[str, ...],
    *,
    shared: bool,
) -> Sequence[tuple[Decision, Known] | Unreadable]:
    """Return what is to be said of the sources, and the files judged: as kept, by several processes, or by this one."""
    answers = kept.find(now=now, weakened=weakened) if kept else None
    if answers is not None:
        return answers
    if sources:
        # While files are read, the engine reads the rules; of the first file, since most projects have one system.
        judge.begin(find_dialect(sources[0].shown, sources[0].content) or DIALECTS[0])
    processes = count_processes(sources) if shared else 1
    judged = None
    if processes > 1:
        judged = judge_shared(judge, sources, processes=processes, now=now, weakened=weakened, root=root)
    if judged is None:
        one_by_one = [source.read() for source in sources]
        read = [one for one in one_by_one if not isinstance(one, Unreadable)]
        places = [
            source.from_root(root)
            for source, one in zip(sources, one_by_one, strict=True)
            if not isinstance(one, Unreadable)
        ]
        decided = iter(judge_all(judge, read, [], now, weakened=weakened, files=places).judged)
        judged = [one if isinstance(one, Unreadable) else (next(decided).decision, Known.of(one)) for one in one_by_one]
    if kept is not None:
        kept.keep(judged)
    return judged


def _follows(judge: Judge, answers: Sequence[tuple[Decision, Known] | Unreadable], now: datetime) -> Follows | None:
    """Return what the answers follow from beside the files and the command; None where they must not be kept."""
    included = [answer[1].included for answer in answers if not isinstance(answer, Unreadable)]
    if len(included) < len(answers) or any(answer[0].problems for answer in answers if isinstance(answer, tuple)):
        return None
    begin = [rule.effective_on for layer in judge.layers.layers for rule in layer.rules(Gate.PIPELINE)]
    return Follows(included, min((day for day in begin if day is not None and day > now), default=None))


def _read(sources: Sequence[Source], root: Path) -> tuple[list[ReadPipeline], list[Unreadable], list[str]]:
    files: list[str] = []
    read, unreadable = read_sources(sources, files=files, root=root)
    return read, unreadable, files


def _put_together(
    sources: Sequence[Source], answers: Sequence[tuple[Decision, Known] | Unreadable], root: Path
) -> tuple[Findings, list[str]]:
    """Return what `judge_all` would, and the files judged, from an answer for each source."""
    judged = [
        (Judged(source.shown, answer[0], source.content), source.from_root(root))
        for source, answer in zip(sources, answers, strict=True)
        if not isinstance(answer, Unreadable)
    ]
    unreadable = tuple(answer for answer in answers if isinstance(answer, Unreadable))
    return Findings(tuple(one for one, _ in judged), unreadable), [file for _, file in judged]


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
