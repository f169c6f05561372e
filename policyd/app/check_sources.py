"""The files that a check looks at: found first, read after, so that several processes can share the reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from policyd.adapters.sources.discovery import Found, find_pipeline_files, read_beneath, shown_path
from policyd.app.projects import find_root
from policyd.errors import PolicydError, UsageError

if TYPE_CHECKING:
    from policyd.pipeline.reading import ReadPipeline
    from policyd.report.findings import Unreadable

MAX_PIPELINE_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is or looks like a pipeline: how it is shown, its content or why it has none, where it really lies.

    `real` is absolute and without links. `named` is one that was named itself and not found under a folder.
    `find_file` returns what it may include.
    """

    shown: str
    found: Found
    real: Path
    named: bool
    find_file: Callable[[str], bytes | None]

    @property
    def content(self) -> bytes:
        """Its bytes; none where it can't be read."""
        return self.found.content or b""

    def from_root(self, root: Path) -> str:
        """Return its path from the project's `root`, the same wherever the check is called from."""
        path = self.real
        # Several paths may lie in several projects: those of another one are named in full.
        return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()

    def read(self) -> ReadPipeline | Unreadable:
        """Return the pipeline, or why it can't be read; for a file that was named, that is raised."""
        # Imported here: finding files takes a tenth of the time that importing what reads them does.
        from policyd.pipeline.reading import read_pipeline
        from policyd.report.findings import Unreadable

        try:
            if self.found.content is None:
                raise self.found.require_error()
            return read_pipeline(self.shown, self.found.content, self.find_file)
        except PolicydError as error:
            if self.named:
                raise
            return Unreadable.of(self.shown, error)


def find_sources(paths: Iterable[Path]) -> Iterator[Source]:
    """Yield every file named by or found under `paths`; `UsageError` for a path that is not there."""
    for path in paths:
        if not path.exists():
            raise UsageError("there is no such path", where=str(path), fix="check the spelling")
        if not path.is_dir():
            parent, name = path.resolve().parent, path.resolve().name
            content = read_beneath(parent, name, max_bytes=MAX_PIPELINE_BYTES)
            # Dialects are told by path and content, so the path from the project's root matters.
            root = find_root(path)
            shown = shown_path(path.resolve().relative_to(root).as_posix())
            yield Source(shown, Found(shown, content), path.resolve(), True, _find_beneath((root, "")))
            continue
        # Files below a folder are shown, and name each other, from where the check is called.
        find_file = _find_beneath((path, f"{path.as_posix()}/".removeprefix("./")), (find_root(path), ""))
        real = path.resolve()  # once: below it no link is followed
        for found in find_pipeline_files(path):
            shown = (path / found.path).as_posix().removeprefix("./")
            yield Source(shown, found, real / found.path, False, find_file)


def read_paths(
    paths: Sequence[Path], *, files: list[str] | None = None, root: Path = Path("/")
) -> tuple[list[ReadPipeline], list[Unreadable]]:
    """Return the pipelines named by or found under `paths`, and the files found that can't be read as pipelines.

    `files` is given each pipeline's path from `root`.
    """
    return read_sources(find_sources(paths), files=files, root=root)


def read_sources(
    sources: Iterable[Source], *, files: list[str] | None = None, root: Path = Path("/")
) -> tuple[list[ReadPipeline], list[Unreadable]]:
    """Return what `read_paths` does of files that were found already."""
    from policyd.report.findings import Unreadable

    read: list[ReadPipeline] = []
    unreadable: list[Unreadable] = []
    for source in sources:
        one = source.read()
        if isinstance(one, Unreadable):
            unreadable.append(one)
            continue
        read.append(one)
        if files is not None:
            files.append(source.from_root(root))
    return read, unreadable


def _find_beneath(*folders: tuple[Path, str]) -> Callable[[str], bytes | None]:
    """Return what reads a file that a pipeline includes, below the first folder that has it.

    Each folder comes with the beginning of the names that are meant from there.
    """

    def find_file(name: str) -> bytes | None:
        for folder, beginning in folders:
            if name.startswith(beginning):
                try:
                    return read_beneath(folder, name.removeprefix(beginning), max_bytes=MAX_PIPELINE_BYTES)
                except PolicydError:
                    continue
        return None

    return find_file
