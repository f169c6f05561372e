"""What the runs in a store made of an artifact, to be handed on: manifest, all it lists, and the summaries of releases.

Every piece is a line, byte for byte what the record names by digest; the reader in `verify` puts the end of the line
back. Only waivers, which are files of several lines, are written in one, and put back as `policyd waiver` writes them.
Nothing is verified here: a store's owner hands on what the store has, and whoever takes it verifies it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from policyd.adapters.settings import Authority
from policyd.adapters.stores.store import Store, open_store
from policyd.app.evidence import MAX_BUNDLE_BYTES
from policyd.app.recorded import find_recorded_manifests
from policyd.attestation.bundle import read_attestation
from policyd.attestation.summary import Summary
from policyd.errors import UsageError
from policyd.models.base import Sha256
from policyd.models.canonical import sha256_hex
from policyd.models.manifest import Manifest
from policyd.models.records import EventKind
from policyd.models.statement import Statement
from policyd.models.strict_json import read_json, read_model

M = TypeVar("M", Manifest, Summary)


def export_runs(sha256s: Iterable[Sha256], *, authority: Authority, target: str | None) -> list[bytes]:
    """Return the evidence of every run in the store that made one of these, a line each; none where no run did.

    Of the summaries those that passed for `target`, which has to be named where there are some for several. Raises
    `StoreError` where something that a manifest lists is missing: half of it proves nothing.
    """
    folder = Path(authority.settings.store)
    if not (folder / "record" / "record.sqlite").exists():
        return []
    lines: dict[Sha256, bytes] = {}
    with open_store(folder, Path(authority.settings.state)) as store:
        for artifact in sha256s:
            summaries: dict[str, list[bytes]] = {}
            for bundle in find_recorded_manifests(store, artifact):
                manifest = _read(Manifest, bundle)
                for content in [bundle, *_listed(store, manifest)]:
                    lines[sha256_hex(content)] = to_line(content)
                for content, summary in _summaries(store, manifest, artifact):
                    summaries.setdefault(summary, []).append(content)
            for content in _choose(summaries, target):
                lines[sha256_hex(content)] = to_line(content)
    return list(lines.values())


def _listed(store: Store, manifest: Manifest) -> Iterator[bytes]:
    names = (
        manifest.plan_sha256,
        *manifest.decisions,
        *manifest.attestations,
        *manifest.waivers,
        *manifest.approvals,
    )
    for sha256 in names:
        yield store.content.get(sha256, max_bytes=MAX_BUNDLE_BYTES)


def _summaries(store: Store, manifest: Manifest, artifact: Sha256) -> Iterator[tuple[bytes, str]]:
    """Yield each summary of the run that passed this artifact, and the target it is for."""
    for logged in store.record.require_run(manifest.run_id).events:
        if logged.event.kind is not EventKind.SUMMARY:
            continue
        for sha256 in logged.event.evidence:
            content = store.content.get(sha256, max_bytes=MAX_BUNDLE_BYTES)
            statement, summary = _statement(content), _read(Summary, content)
            is_of = any((subject.digest or {}).get("sha256") == artifact for subject in statement.subject)
            if is_of and summary.verification_result == "PASSED" and summary.release is not None:
                yield content, summary.release.target


def _choose(summaries: dict[str, list[bytes]], target: str | None) -> list[bytes]:
    if target is None and len(summaries) > 1:
        raise UsageError(
            f"it was released to several targets: {', '.join(sorted(summaries))}",
            where="evidence export",
            fix="add --target NAME: a summary for one is none for another",
        )
    return [one for name, found in summaries.items() if target in (None, name) for one in found]


def _statement(bundle: bytes) -> Statement:
    envelope = read_attestation(bundle, where="evidence")
    return read_model(Statement, envelope.payload, where="evidence", max_bytes=MAX_BUNDLE_BYTES, max_depth=64)


def _read(model: type[M], bundle: bytes) -> M:
    content = json.dumps(_statement(bundle).predicate).encode()
    return read_model(model, content, where="evidence", max_bytes=2 * MAX_BUNDLE_BYTES, max_depth=64)


def to_line(content: bytes) -> bytes:
    """Return a piece of evidence as one line."""
    line = content.removesuffix(b"\n")
    if b"\n" in line:
        line = json.dumps(
            read_json(content, where="waiver", max_bytes=MAX_BUNDLE_BYTES, max_depth=64), separators=(",", ":")
        ).encode()
    return line + b"\n"
