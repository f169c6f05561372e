"""The highest version that was seen of each signed document of a kind: versions only go forward on one machine.

Whoever puts an old document in the place of a new one has signatures that still hold. What shows it is that this
machine has seen a later version.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from policyd.adapters.stores.files import locked, write_whole
from policyd.adapters.stores.state_files import find_kept, state_unusable
from policyd.errors import RecordError, VerificationFailed
from policyd.models.base import Model, Name
from policyd.models.policy_bundle import Version
from policyd.models.strict_json import read_model

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
_MAX_BYTES = 4096


class Seen(Model):
    """A version of a document that was seen; whoever remembers it adds the digest of its content."""

    name: Name
    version: Version


S = TypeVar("S", bound=Seen)


class HighestVersions(Generic[S]):
    """The folder with one file for each name."""

    def __init__(
        self, folder: Path, model: type[S], *, what: str, refused: Callable[[S, S, str], VerificationFailed]
    ) -> None:
        """`what` is remembered, in words; `refused` makes an error of the highest, what was offered, and where."""
        self.folder = folder
        self._model, self._what, self._refused = model, what, refused

    def require_not_behind(self, offered: S, *, where: str) -> bool:
        """Say whether `offered` is the very one that was seen last; raise `VerificationFailed` for a step back.

        The same version with another content is a step back too: one version is one content.
        """
        highest = self._find(self.path(offered.name))
        if highest is None or highest.version < offered.version:
            return False
        if highest != offered:
            raise self._refused(highest, offered, where)
        return True

    def remember(self, offered: S, *, where: str) -> None:
        """Remember `offered`, durably; raises as `require_not_behind` rather than go back."""
        if self.require_not_behind(offered, where=where):
            return
        path = self.path(offered.name)
        try:
            with locked(self.folder):
                if not self.require_not_behind(offered, where=where):  # another policyd may have been faster
                    write_whole(path, offered.to_json())
        except OSError as error:
            raise state_unusable(path, error) from error

    def path(self, name: str) -> Path:
        """Return the file that remembers `name`."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name of a {self._what}")
        return self.folder / name

    def _find(self, path: Path) -> S | None:
        content = find_kept(path, max_bytes=_MAX_BYTES)
        if content is None:
            return None
        seen = read_model(self._model, content, where=str(path), max_bytes=_MAX_BYTES, max_depth=2, error=RecordError)
        if seen.name != path.name:
            raise RecordError(
                f"the file remembers the {self._what} {seen.name!r}",
                where=str(path),
                fix="find out who changed the state folder; with the file gone, the next version seen is the first",
            )
        return seen
