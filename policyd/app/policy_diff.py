"""`policyd policy diff`: two policy sets beside each other, rule by rule and by what they say of the same inputs.

Both are judged as they stand, as an organisation's set with one collection: no project and no team adds to them, and
no waiver lifts anything, so that what differs comes from the sets alone. Nothing is signed, recorded or remembered.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from policyd.adapters.output import read_input
from policyd.adapters.settings import Authority, find_authority
from policyd.adapters.sources.discovery import find_pipeline_files, read_beneath
from policyd.adapters.sources.documents import MAX_DOCUMENT_BYTES, find_input_documents, is_input_document
from policyd.app.check import MAX_PIPELINE_BYTES, read_paths
from policyd.app.judging import Judge, ask_layers, make_repository, nowhere, open_engine
from policyd.app.judging_again import exit_code_of, find_dialect, find_old_misfit, load_named_set, unjudged, with_time
from policyd.app.policy_layers import DEFAULT_COLLECTION
from policyd.errors import DocumentError, ExitCode, PolicydError, PolicyError, UsageError
from policyd.models.decision import Decision, Gate
from policyd.models.strict_json import read_json
from policyd.pipeline.linking import link
from policyd.pipeline.reading import ReadPipeline, read_pipeline
from policyd.policy.changes import Change, Judgements, SetChanges, Unjudged, compare_decisions, compare_sets
from policyd.policy.deciding import Subject
from policyd.policy.judged_input import JudgedInput
from policyd.policy.layers import Layer, Rank, bind_layers
from policyd.policy.policy_set import PolicySet
from policyd.policy.selecting import require_collection

MAX_DOCUMENT_DEPTH = 80  # an input holds the parsed pipeline, which may be 64 deep
_GATES = frozenset(gate.value for gate in Gate)


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs between two policy sets, and what that does."""

    sets: SetChanges
    judgements: Judgements

    @property
    def exit_code(self) -> ExitCode:
        """0 where no decision changes, 1 where one does, 3 where one can't be made, 4 where there was no input."""
        return exit_code_of(self.judgements)


def diff(
    old: str,
    new: str,
    inputs: Path,
    *,
    collection: str | None,
    effective_time: datetime | None,
    engine: str | None,
    settings: Path | None,
    now: datetime,
) -> Compared:
    """Judge the pipelines and the gates' inputs below `inputs` with both sets, asking `collection` of each.

    Pipelines are found as `policyd check` finds them; inputs are JSON files as gates make them, and keep their own time
    where there is no `effective_time`. What can't be read is listed. Raises `PolicyError` for a set that can't be used.
    """
    authority = find_authority(settings, repository=inputs if inputs.is_dir() else inputs.parent)
    sets = [load_named_set(name, authority, now=now) for name in (old, new)]
    judgements = Judgements()
    with ExitStack() as stack:
        judges = [
            stack.enter_context(_open_judge(policy_set, name, collection, engine, authority))
            for policy_set, name in zip(sets, (old, new), strict=True)
        ]
        pair = _Pair(judges[0], judges[1], effective_time, now, stack.enter_context(ThreadPoolExecutor(2)))
        for answer in _compare_all(pair, inputs):
            judgements.add(answer)
    return Compared(compare_sets(*sets), judgements)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two judges that are asked the same at the same time, each with a rule process of its own."""

    old: Judge
    new: Judge
    effective_time: datetime | None
    now: datetime
    pool: ThreadPoolExecutor

    def compare_pipeline(self, pipeline: ReadPipeline, repository: list[ReadPipeline]) -> Change | None:
        """Return what changes about a pipeline."""
        moment = self.effective_time or self.now
        known = make_repository(repository)
        before, after = self.pool.map(
            lambda judge: judge.judge_pipeline(pipeline, known, now=moment), (self.old, self.new)
        )
        return compare_decisions(pipeline.ref.path, before, after)

    def compare_document(self, name: str, content: bytes) -> Change | None:
        """Return what changes about the input of a gate; `DocumentError` or `PolicyError` where it is none."""
        gate, made_at = _read_head(name, content)
        moment = self.effective_time or made_at
        if self.effective_time is not None:
            content = with_time(content, moment)
        misfit = find_old_misfit(gate, content, where=name)
        if misfit is not None:
            raise PolicyError(misfit.message, where=misfit.where, fix=misfit.fix)

        judged = JudgedInput(content, lambda: None)

        def ask(judge: Judge) -> Decision:
            return ask_layers(
                judge.layers,
                judge.engines,
                judged,
                subject=Subject(gate=gate, name=name, input_sha256=judged.sha256),
                dialect=find_dialect(gate, content),
                now=moment,
                locate=nowhere,
                governance=judge.governance,
            )

        before, after = self.pool.map(ask, (self.old, self.new))
        return compare_decisions(name, before, after)


def _compare_all(pair: _Pair, inputs: Path) -> Iterator[Change | Unjudged | None]:
    if inputs.is_file() and inputs.suffix == ".json":
        content = read_input(inputs, max_bytes=MAX_DOCUMENT_BYTES)
        if is_input_document(content):
            yield _compare_document(pair, inputs.name, content)
            return
    pipelines: list[ReadPipeline] = []
    if not inputs.is_dir():
        pipelines, _ = read_paths([inputs])
    else:
        yield from _read_pipelines(inputs, pipelines)
    for pipeline in link(pipelines):
        yield pair.compare_pipeline(pipeline, pipelines)
    if not inputs.is_dir():
        return
    for found in find_input_documents(inputs):
        if found.content is None:
            yield unjudged(found.path, found.path, found.require_error())
        else:
            yield _compare_document(pair, found.path, found.content)


def _read_pipelines(folder: Path, pipelines: list[ReadPipeline]) -> Iterator[Unjudged]:
    """Add each pipeline below `folder` to `pipelines`, named from there on; yield those that can't be read."""

    def find_file(path: str) -> bytes | None:
        try:
            return read_beneath(folder, path, max_bytes=MAX_PIPELINE_BYTES)
        except PolicydError:
            return None

    for found in find_pipeline_files(folder):
        try:
            if found.content is None:
                raise found.require_error()
            pipelines.append(read_pipeline(found.path, found.content, find_file))
        except PolicydError as error:
            yield unjudged(found.path, found.path, error)


def _compare_document(pair: _Pair, name: str, content: bytes) -> Change | Unjudged | None:
    try:
        return pair.compare_document(name, content)
    except PolicydError as error:
        return unjudged(name, name, error)


def _read_head(name: str, content: bytes) -> tuple[Gate, datetime]:
    """Return the gate of an input, and when it was made."""
    document = read_json(content, where=name, max_bytes=MAX_DOCUMENT_BYTES, max_depth=MAX_DOCUMENT_DEPTH)
    gate = document.get("gate") if isinstance(document, dict) else None
    made_at = document.get("evaluated_at") if isinstance(document, dict) else None
    try:
        moment = datetime.fromisoformat(made_at) if isinstance(made_at, str) else None
    except ValueError:
        moment = None
    if not isinstance(gate, str) or gate not in _GATES or moment is None or moment.utcoffset() is None:
        raise DocumentError(
            "the file names `gate` and `evaluated_at` and is not the input of a gate",
            where=name,
            fix="give the whole input of a gate, or keep other files elsewhere",
        )
    return Gate(gate), moment


@contextmanager
def _open_judge(
    policy_set: PolicySet, place: str, collection: str | None, engine: str | None, authority: Authority | None
) -> Iterator[Judge]:
    asked = collection or (authority.settings.collection if authority else DEFAULT_COLLECTION)
    if collection is not None:
        try:
            require_collection(policy_set, collection)
        except PolicyError as error:  # the option is wrong, not the set
            raise UsageError(error.cause, where=f"--collection, {place}", fix=error.fix) from error
    layer = Layer(Rank.ORGANISATION, policy_set.name, policy_set, place, collection=asked)
    layer.rules(Gate.PIPELINE)  # a collection that is not there is said before anything is judged
    chosen = engine or (authority.settings.engine if authority else "embedded")
    with open_engine(chosen, layer, authority) as opened:
        yield Judge(layers=bind_layers([layer], []), engines=(opened,), governance="operator" if authority else "self")
