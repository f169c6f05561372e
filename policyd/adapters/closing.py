"""What `with` closes when its block ends, however it ends."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """Something of the outside world that is open until `close`."""

    __slots__ = ()

    def close(self) -> None:
        """Let go of what is held."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
