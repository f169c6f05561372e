"""Manifests in the record: which runs made an artifact, and proof that the record holds their manifests."""

from __future__ import annotations

from collections.abc import Iterator

from policyd.adapters.stores.store import Store
from policyd.app.evidence import MAX_BUNDLE_BYTES
from policyd.app.record import log_keys
from policyd.attestation.evidence import find_manifests
from policyd.errors import EvidenceMissing, PolicydError, RecordError, SettingsError, StoreError, UsageError
from policyd.models.base import Sha256
from policyd.models.records import EventKind
from policyd.models.trust import TrustPolicy
from policyd.record.checkpoint import VerifiedCheckpoint, log_fingerprint, verify_checkpoint
from policyd.record.entries import render_entry
from policyd.record.log import Log
from policyd.record.merkle import inclusion_spans, leaf_hash, prove, verify_inclusion

MAX_RUNS = 100_000


def find_recorded_manifests(store: Store, artifact_sha256: Sha256) -> tuple[bytes, ...]:
    """Return the manifest bundles of the store that name the artifact as a subject, the newest run first.

    Only a way to find them: nothing is believed before the release chain has verified it. Raises `EvidenceMissing`
    where none does and one that the record names can't be read: it may be the one.
    """
    unreadable: list[Sha256] = []
    found = find_manifests(_manifests(store, unreadable), artifact_sha256)
    if unreadable and not found:
        raise EvidenceMissing(
            f"the manifest sha256:{unreadable[0]} is missing or damaged, and with it what its run made",
            where=f"{len(unreadable)} of the manifests that the record names",
            fix="put it back from a copy of the store; `policyd record verify` says what else is damaged",
        )
    return found


def _manifests(store: Store, unreadable: list[Sha256]) -> Iterator[bytes]:
    for run in store.record.list_runs(limit=MAX_RUNS):
        if run.manifest_sha256 is None:
            continue
        try:
            yield store.content.get(run.manifest_sha256, max_bytes=MAX_BUNDLE_BYTES)
        except StoreError:
            # It can't say what it made; one that is whole may answer.
            unreadable.append(run.manifest_sha256)


class RecordedManifests:
    """The record as the release chain asks it (`attestation.release_chain.ManifestLog`)."""

    def __init__(self, store: Store, trust: TrustPolicy) -> None:
        """Take an open store, and the trust policy that lists the log's keys."""
        self._store = store
        self._keys = log_keys(trust)
        if not self._keys:
            raise SettingsError(
                "the trust policy lists no log key", where="roles.log", fix="list the key that signs checkpoints"
            )

    def find_manifest(self, manifest_sha256: Sha256, *, checkpoint: str) -> str | None:
        """Return where the record holds this manifest, proved against its signed checkpoint; None if it doesn't.

        Raises `RecordError` where the record contradicts the manifest's checkpoint or one kept outside the store.
        """
        # 1. Where the index says the entry is. The index is no evidence: what it finds is proved below.
        number = self._find_entry(manifest_sha256)
        if number is None:
            return None
        # 2. Checkpoints kept outside the store are read before the record: read after it, they could be newer.
        outside = [self._store.state.find(log_fingerprint(key)) for key in self._keys]
        kept = [found.note for found in outside if found is not None]
        with self._store.record.snapshot() as stored:
            # 3. The record's last checkpoint, signed by a log key of the trust policy.
            note = stored.head().note
            if note is None:
                return None
            head = verify_checkpoint(note, self._keys)
            # 4. The entry, and that the tree under this checkpoint holds it.
            event = stored.event(number)
            if event.kind is not EventKind.MANIFEST or manifest_sha256 not in event.evidence:
                return None
            proof = prove(inclusion_spans(number, head.size), stored.hashes)
            verify_inclusion(number, head.size, leaf_hash(render_entry(event)), proof, head.root)
            # 5. The record still holds all it held when the manifest was made, and when policyd last looked.
            log = Log(stored, self._keys[0])
            log.verify_extends(self._verified(checkpoint), head)
            for note in kept:
                log.verify_extends(self._verified(note), head)
        doubt = "" if kept else " (no checkpoint outside the store: rollback not detectable)"
        return f"entry {number} of {head.size}{doubt}"

    def _find_entry(self, manifest_sha256: Sha256) -> int | None:
        for run in self._store.record.list_runs(limit=MAX_RUNS):
            if run.manifest_sha256 == manifest_sha256:
                try:
                    view = self._store.record.require_run(run.run_id)
                except UsageError:
                    return None
                for logged in view.events:
                    if logged.event.kind is EventKind.MANIFEST and manifest_sha256 in logged.event.evidence:
                        return logged.number
        return None

    def _verified(self, note: str) -> VerifiedCheckpoint:
        try:
            return verify_checkpoint(note, self._keys)
        except PolicydError as error:
            raise RecordError(error.cause, where=error.where, fix=error.fix) from error
