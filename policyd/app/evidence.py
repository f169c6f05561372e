"""The store's evidence as the core takes it: bytes by digest, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policyd.adapters.stores.store import Store
from policyd.errors import StoreError
from policyd.models.base import Sha256

MAX_BUNDLE_BYTES = 64 * 1024 * 1024  # a plan of 2,000 stages or a large SBOM in its envelope


class StoredEvidence(Mapping[Sha256, bytes]):
    """Evidence in a store, by digest. What is missing or damaged there is missing here."""

    def __init__(self, store: Store) -> None:
        """Take an open store; reading is all that is needed."""
        self._content = store.content

    def __getitem__(self, sha256: Sha256) -> bytes:
        """Return the bytes with this digest; `KeyError` where the store can't give them."""
        try:
            return self._content.get(sha256, max_bytes=MAX_BUNDLE_BYTES)
        except StoreError as error:
            raise KeyError(sha256) from error

    def __iter__(self) -> Iterator[Sha256]:
        """Nobody walks the whole store: evidence is what a manifest lists."""
        return iter(())

    def __len__(self) -> int:
        """As many as `__iter__` gives."""
        return 0
