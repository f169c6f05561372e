"""`policyd policy docs`: the rule reference of a policy set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policyd.adapters.output import write_output
from policyd.app.policy_explain import find_reads
from policyd.app.policy_folders import read_policy_folders
from policyd.errors import UsageError
from policyd.policy.policy_files import is_example
from policyd.policy.policy_set import read_policy_set
from policyd.report.rule_pages import MADE, render_pages


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the folder of pages."""

    pages: int
    removed: tuple[str, ...]


def make_pages(path: Path | None = None, *, settings: Path | None = None) -> dict[str, str]:
    """Return the pages of the policy set at `path`, of the library without one: file name → text."""
    [folder] = read_policy_folders((path,) if path else (), settings=settings)
    name = "the library" if path is None else folder.folder.name
    policy_set = read_policy_set(folder.files, name, prefix=folder.prefix)
    by_folder = {rule.path.rpartition("/")[0]: rule.id for rule in policy_set.catalogue.values()}
    examples: dict[str, dict[str, str]] = {}
    for file, content in folder.files.items():
        rule_folder = file.removesuffix(f"/examples/{file.rpartition('/')[2]}")
        if is_example(file) and rule_folder in by_folder:
            text = content.decode("utf-8", "replace")
            examples.setdefault(by_folder[rule_folder], {})[file.rpartition("/")[2]] = text
    reads = {rule.id: find_reads(policy_set, rule) for rule in policy_set.catalogue.values()}
    return render_pages(policy_set.catalogue, reads, policy_set.collections, examples, name=name)


def write_pages(out: Path, *, path: Path | None = None, settings: Path | None = None) -> Written:
    """Write the pages into the folder `out`. Pages of rules that are gone are removed, other files left alone.

    Raises `UsageError` where a file that was not made here stands in the place of a page.
    """
    pages = make_pages(path, settings=settings)
    old = {file.name: file for file in sorted(out.glob("*.md")) if file.is_file()} if out.is_dir() else {}
    for name, file in old.items():
        if name in pages and not _is_made(file):
            raise UsageError(
                "a file that `policyd policy docs` did not make stands in the place of a page",
                where=str(file),
                fix="move it away, or choose another folder with --out",
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the folder can't be made: {error.strerror}", where=str(out), fix="name a folder of yours"
        ) from error
    for name, text in pages.items():
        write_output(out / name, text.encode())
    gone = [file for name, file in old.items() if name not in pages and _is_made(file)]
    for file in gone:
        file.unlink()
    return Written(len(pages), tuple(file.name for file in gone))


def _is_made(file: Path) -> bool:
    with file.open("rb") as opened:
        return MADE.encode() in opened.read(4096)
