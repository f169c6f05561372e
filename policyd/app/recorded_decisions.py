"""Decisions in the record: signed, and beside them by digest everything that asking again needs.

A recorded decision names its input, the pipeline file that its places point into, and its policy set; the store keeps
all three, each content once. A policy set's digest is that of the list of its files, so the list is stored under the
very digest that decisions name, and each file under the digest that the list gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from policyd.adapters.library import MAX_FOLDER_BYTES
from policyd.adapters.stores.content import ContentStore
from policyd.adapters.stores.store import Store
from policyd.app.evidence import MAX_BUNDLE_BYTES
from policyd.attestation.signing import DecisionSigner
from policyd.attestation.trust import verify_bundle
from policyd.errors import PolicyError, VerificationFailed
from policyd.models.base import Sha256
from policyd.models.decision import Decision
from policyd.models.records import Event, EventKind
from policyd.models.statement import DECISION_V1
from policyd.models.trust import Role, TrustPolicy
from policyd.pipeline.reading import ReadPipeline
from policyd.policy.policy_files import list_policy_files
from policyd.policy.policy_set import MAX_LIST_BYTES, PolicySet, read_policy_list, read_policy_set
from policyd.record.entries import read_entry

PAGE = 500  # entries of the record looked at in one go


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """A decision that the record names, its signature verified. Made by `read_decision` alone."""

    sha256: Sha256  # of the signed bundle: the decision's name
    decision: Decision
    statement: bytes  # as signed


def store_decision(
    content: ContentStore, decision: Decision, signing: DecisionSigner, *documents: bytes
) -> tuple[Sha256, ...]:
    """Sign `decision` and store it together with what was judged, durable on return.

    Returns the digests that its entry in the record names as evidence: the decision first, then `documents`.
    """
    bundle = signing.sign_decision(decision)
    with content.batch() as batch:
        sha256 = batch.put(bundle)
        return (sha256, *(batch.put(document) for document in documents))


def files_of(pipeline: ReadPipeline) -> Sequence[bytes]:
    """Return the files that the places of `pipeline` point into: its own, and those it includes."""
    return (pipeline.content, *(found for _, found in sorted(pipeline.included.items()) if found is not None))


def store_policy_sets(content: ContentStore, policy_sets: Iterable[PolicySet]) -> None:
    """Store the files of each policy set, those that are new, and under its digest the list of them."""
    for policy_set in policy_sets:
        if content.has(policy_set.sha256):
            continue
        with content.batch() as batch:
            for file in policy_set.files.values():
                batch.put(file)
        # The list comes last: where it is, its files are.
        content.put(list_policy_files(policy_set.files))


def policy_sets_of(decision: Decision) -> tuple[Sha256, ...]:
    """Return the digests of the policy sets of all layers that made `decision`."""
    return tuple(dict.fromkeys((decision.policy_set.sha256, *(layer.sha256 for layer in decision.layers))))


def read_stored_policy_set(content: ContentStore, sha256: Sha256, *, name: str, prefix: str) -> PolicySet:
    """Return the policy set with this digest from the store.

    Raises `StoreError` where a file of it is missing or damaged, `PolicyError` where it can't be used any more.
    """
    where = f"policy set {name}, sha256:{sha256}"
    listed = read_policy_list(content.get(sha256, max_bytes=MAX_LIST_BYTES), where=where)
    files = {path: content.get(digest, max_bytes=MAX_FOLDER_BYTES) for path, digest in listed.items()}
    policy_set = read_policy_set(files, name=name, prefix=prefix)
    if policy_set.sha256 != sha256:
        raise PolicyError("the list names files that are not part of a policy set", where=where, fix="check the store")
    return policy_set


def find_decisions(store: Store, *, since: datetime | None = None, run: str | None = None) -> Iterator[Event]:
    """Yield the entries of the record that are decisions, in order, from `since` on.

    With `run` (an id or its beginning), those of one run and the one of the check gate that let it start. Raises
    `UsageError` where there is no such run.
    """
    decisions = _of_run(store, run) if run is not None else _decisions(store)
    return (event for event in decisions if since is None or datetime.fromisoformat(event.at) >= since)


def read_decision(content: ContentStore, event: Event, trust: TrustPolicy) -> RecordedDecision:
    """Return the decision that a recorded `event` names, after verifying that the decider signed it.

    The key is judged as of the entry's time: the log, verified, vouches for it, and keys expire before records do.
    Raises `StoreError`, `VerificationFailed` or their kind.
    """
    where = f"decision recorded at {event.at}"
    if not event.evidence:
        raise VerificationFailed("the entry names no decision", where=where, fix="`policyd record verify` says more")
    sha256 = event.evidence[0]
    where = f"decision sha256:{sha256}"
    verified = verify_bundle(
        content.get(sha256, max_bytes=MAX_BUNDLE_BYTES),
        trust,
        role=Role.DECIDER,
        now=datetime.fromisoformat(event.at),
        where=where,
    )
    if verified.statement.predicate_type != DECISION_V1:
        raise VerificationFailed(
            f"the statement is {verified.statement.predicate_type}, not a decision",
            where=where,
            fix="find out why the record names something else as a decision",
        )
    return RecordedDecision(sha256, verified.read_predicate(Decision, where=where), verified.payload)


def _decisions(store: Store) -> Iterator[Event]:
    return (event for _, event in _entries(store) if event.kind is EventKind.DECISION)


def _of_run(store: Store, run: str) -> Iterator[Event]:
    view = store.record.require_run(run)
    first = min(logged.number for logged in view.events)
    check: Event | None = None
    for number, event in _entries(store):
        if number >= first:
            break
        if _is_check_of(event, view.run.plan_sha256):
            check = event
    if check is not None:
        yield check
    for logged in view.events:
        if logged.event.kind is EventKind.DECISION:
            yield logged.event


def _is_check_of(event: Event, plan_sha256: Sha256 | None) -> bool:
    return event.kind is EventKind.DECISION and event.run_id is None and event.plan_sha256 == plan_sha256


def _entries(store: Store) -> Iterator[tuple[int, Event]]:
    """Yield every entry of the record. No transaction stays open meanwhile: who reads may take long."""
    first = 0
    while True:
        with store.record.snapshot() as stored:
            size = stored.head().size
            entries = stored.entry_range(first, min(first + PAGE, size))
        if not entries:
            return
        for number, entry in enumerate(entries, first):
            yield number, read_entry(entry, number)
        first += len(entries)
