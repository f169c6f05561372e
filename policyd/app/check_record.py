"""`policyd check --record`: decisions that are signed and kept, so that a later policy can be tried on them.

A check runs nothing, so such a decision names no plan and lets nothing start: gates of a run make their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from policyd.adapters import clock
from policyd.adapters.settings import Authority
from policyd.adapters.signers.process import start_signing
from policyd.adapters.stores.store import Store, open_store
from policyd.app.judging import Judge
from policyd.app.record import log_keys, require_clock
from policyd.app.recorded_decisions import files_of, policy_sets_of, store_decision, store_policy_sets
from policyd.app.waivers import used_by
from policyd.attestation.policy_sets import require_listed
from policyd.attestation.signing import DecisionSigner
from policyd.errors import SettingsError
from policyd.models.base import Sha256
from policyd.models.decision import Decision
from policyd.models.records import Event, EventKind
from policyd.pipeline.reading import ReadPipeline


@dataclass(slots=True)
class CheckRecord:
    """Decisions on their way into the record. Made by `open_check_record`."""

    now: datetime  # the time of the check, which does not lie before what is recorded already
    _store: Store
    _decider: DecisionSigner
    _authority: Authority
    _events: list[Event] = field(default_factory=list)

    def begin(self, judge: Judge) -> None:
        """Store what all decisions of `judge` refer to, once; raise where the decider may not sign for its rules."""
        require_listed(judge.layer_refs, self._authority.trust, where=self._authority.settings.trust_policy.path)
        store_policy_sets(self._store.content, judge.policy_sets)
        self._store_files(judge.waivers.files or {})

    def take(self, pipeline: ReadPipeline, decision: Decision, document: bytes) -> None:
        """Sign and store one decision about `pipeline`, with the input that was judged."""
        kept = store_decision(self._store.content, decision, self._decider, document, *files_of(pipeline))
        self._events.append(
            Event(
                kind=EventKind.DECISION,
                at=decision.decided_at,
                verdict=decision.verdict.value,
                evidence=(*kept, *policy_sets_of(decision), *used_by(decision)),
                detail=f"check of {decision.subject}",
            )
        )

    def finish(self) -> None:
        """Write all of them to the record; on return they are durable, and their checkpoint is kept outside of it."""
        if self._events:
            self._store.record.append(self._events)
            self._store.record.checkpoint()

    def _store_files(self, files: Mapping[Sha256, bytes]) -> None:
        with self._store.content.batch() as batch:
            for content in files.values():
                batch.put(content)


@contextmanager
def open_check_record(authority: Authority | None, password: Callable[[], str]) -> Iterator[CheckRecord]:
    """Open the operator's record for the decisions of a check; `password` is asked where a key needs one.

    Raises `SettingsError` without operator settings: nobody then says whose record and whose signature.
    """
    if authority is None:
        raise SettingsError(
            "there are no operator settings, and so no record and no key to sign with",
            where="policyd check --record",
            fix="run `policyd init` once, or name settings with --settings FILE",
        )
    with (
        start_signing(authority, password) as signing,
        open_store(
            Path(authority.settings.store),
            Path(authority.settings.state),
            signing.log,
            earlier=log_keys(authority.trust),
        ) as store,
    ):
        now = require_clock(store, log_keys(authority.trust), clock.now)
        yield CheckRecord(now, store, signing, authority)
