"""The same check again: what rules found of the very same inputs, weighed anew.

Kept is what was found, never what was decided: effect, level, verdict and waivers follow from rules and time each time.
The key is the digest of everything that an answer follows from: the files in their order, with path and content, the
layers with their settings, the engines, and the code of policyd itself. Files that pipelines include are known only
once they are read, so they stand in the entry by digest and are looked at again. One file that differs, and all is
judged anew.

Only `check` reads it, and never with `--record`. Nothing is kept, and nothing taken, where a rule can read the time,
where a waiver is there (it is weighed against the input itself), where anything was undecided, and where a file could
not be read because of another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from policyd.adapters.stores.check_cache import CheckCache
from policyd.app.check_again import digest_code
from policyd.app.check_sources import Source
from policyd.app.judging import Judge
from policyd.errors import PolicydError
from policyd.models.base import Model, Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.decision import Decision, Gate, Violation
from policyd.models.input import Dialect
from policyd.pipeline.reading import ReadPipeline, read_pipeline
from policyd.policy.catalogue import RuleMeta
from policyd.policy.deciding import Raised, Subject, decide_again
from policyd.policy.input_fields import can_read
from policyd.policy.layers import Layer, not_asked, unite
from policyd.report.findings import Unreadable

_FORMAT = 1


class Known(Model):
    """What reading a file showed beside its facts: its dialect, and the files it asked for, null for one not there."""

    dialect: Dialect
    included: dict[str, Sha256 | None]

    @classmethod
    def of(cls, pipeline: ReadPipeline) -> Known:
        """Return what is known of a pipeline that was read."""
        included = {name: None if found is None else sha256_hex(found) for name, found in pipeline.included.items()}
        return cls(dialect=pipeline.ref.dialect, included=included)


class _File(Model):
    known: Known
    input_sha256: Sha256
    violations: tuple[Violation, ...]


class _Unread(Model):
    """Why a file can't be read, where that follows from its content alone."""

    cause: str
    where: str
    fix: str


class _Entry(Model):
    files: tuple[_File | _Unread, ...]


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of checks, as one check uses it. Made by `recall` alone."""

    cache: CheckCache
    key: Sha256
    judge: Judge
    sources: Sequence[Source]
    root: Path

    def find(self, *, now: datetime, weakened: tuple[str, ...]) -> list[tuple[Decision, Known] | Unreadable] | None:
        """Return the decision on each file as of `now` and what is known of it, or why it can't be read.

        None where not all is known.
        """
        content = self.cache.find(self.key)
        if content is None:
            return None
        try:
            entry = _Entry.model_validate_json(content)
            pairs = list(zip(self.sources, entry.files, strict=True))
            if not all(isinstance(file, _Unread) or _is_included_still(source, file.known) for source, file in pairs):
                return None
            weigher = _Weigher(self.judge, now, weakened)
            return [
                Unreadable(source.shown, file.cause, file.where, file.fix)
                if isinstance(file, _Unread)
                else (weigher.decide(source, file, self.root), file.known)
                for source, file in pairs
            ]
        except (ValidationError, ValueError, KeyError):
            return None  # what has another shape, or speaks of rules that are not asked, was not kept here

    def keep(self, answers: Sequence[tuple[Decision, Known] | Unreadable]) -> None:
        """Keep what was found of each source: what is known of it, or why it can't be read."""
        files: list[_File | _Unread] = []
        for source, answer in zip(self.sources, answers, strict=True):
            if isinstance(answer, Unreadable):
                if not _fails_alone(source):
                    return
                files.append(_Unread(cause=answer.cause, where=answer.where, fix=answer.fix))
                continue
            decision, known = answer
            if decision.problems:
                return
            files.append(_File(known=known, input_sha256=decision.input_sha256, violations=decision.violations))
        self.cache.keep(self.key, _Entry(files=tuple(files)).model_dump_json().encode())


def recall(cache: CheckCache | None, judge: Judge, sources: Sequence[Source], root: Path) -> Remembered | None:
    """Return what is kept of checks of the `sources`; None where nothing may be taken from there or put there."""
    waivers = judge.waivers
    if cache is None or not sources or any(source.found.content is None for source in sources):
        return None
    if waivers.waivers or waivers.unreadable or waivers.files:
        return None
    if any(can_read(policy_set.modules.values(), "evaluated_at") for policy_set in judge.policy_sets):
        return None
    return Remembered(cache, _key_of(judge, sources, root), judge, sources, root)


def _key_of(judge: Judge, sources: Sequence[Source], root: Path) -> Sha256:
    """Return the digest of all that answers follow from, but for included files."""
    layers = [
        (
            layer.ref.model_dump(mode="json"),
            layer.extra,
            layer.policy_set.data,
            [(rule.id, rule.entrypoint) for rule in layer.rules(Gate.PIPELINE)],
            engine.ref.model_dump(mode="json"),
        )
        for layer, engine in zip(judge.layers.layers, judge.engines, strict=True)
    ]
    files = [(source.shown, source.from_root(root), source.named, sha256_hex(source.content)) for source in sources]
    return sha256_hex(json.dumps([_FORMAT, digest_code(), judge.governance, layers, files], sort_keys=True).encode())


def _fails_alone(source: Source) -> bool:
    """Say whether a file can't be read whatever lies beside it: it is not even read far enough to ask for another."""
    asked: list[str] = []
    try:
        read_pipeline(source.shown, source.content, asked.append)  # `append` finds nothing
    except PolicydError:
        return not asked
    return False


def _is_included_still(source: Source, known: Known) -> bool:
    for name, sha256 in known.included.items():
        found = source.find_file(name)
        if (None if found is None else sha256_hex(found)) != sha256:
            return False
    return True


class _Weigher:
    """Makes decisions of what was found."""

    def __init__(self, judge: Judge, now: datetime, weakened: tuple[str, ...]) -> None:
        self._judge = judge
        self._now = now
        self._weakened = weakened
        self._terms = judge.terms
        self._raised = Raised(levels=self._terms.levels, fail_on=self._terms.fail_on)
        self._asked: dict[str, list[tuple[Layer, Mapping[str, RuleMeta]]]] = {}

    def decide(self, source: Source, file: _File, root: Path) -> Decision:
        """Return the decision on one file. `KeyError` for a violation of a rule that is not asked of it."""
        subject = Subject(gate=Gate.PIPELINE, name=source.shown, input_sha256=file.input_sha256)
        asked = self._rules(file.known.dialect)
        of_rule = {rule_id: index for index, (_, rules) in enumerate(asked) for rule_id in rules}
        shares: list[list[Violation]] = [[] for _ in asked]
        for violation in file.violations:
            shares[of_rule[violation.rule]].append(violation)
        judged: list[tuple[Layer, Decision]] = []
        for (layer, rules), engine, share in zip(asked, self._judge.engines, shares, strict=True):
            if judged and not rules:
                judged.append((layer, not_asked(judged[0][1], layer, engine.ref)))
                continue
            decision = decide_again(
                tuple(rules.values()),
                share,
                now=self._now,
                subject=subject,
                policy_set=layer.policy_set.ref,
                engine=engine.ref,
                governance=self._judge.governance,
                raised=self._raised,
                weakened=self._weakened,
            )
            judged.append((layer, decision))
        included = {name: sha256 for name, sha256 in sorted(file.known.included.items()) if sha256 is not None}
        place = source.from_root(root)
        return unite(judged).model_copy(
            update={
                "terms": self._terms,
                "source_sha256": sha256_hex(source.content),
                "included": included or None,
                "file": place if place != source.shown else None,
            }
        )

    def _rules(self, dialect: str) -> list[tuple[Layer, Mapping[str, RuleMeta]]]:
        if dialect not in self._asked:
            self._asked[dialect] = [
                (layer, {rule.id: rule for rule in layer.rules(Gate.PIPELINE, dialect)})
                for layer in self._judge.layers.layers
            ]
        return self._asked[dialect]
