"""A cache saves work and says nothing of its own: what has changed is judged anew, whoever wishes it were not."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policyd.adapters.stores import check_cache
from policyd.adapters.stores.check_cache import MAX_ENTRIES, CheckCache, open_cache
from policyd.app.check import Checked, check
from policyd.app.check_sources import Source
from policyd.errors import PolicydError
from policyd.models.decision import Severity, Verdict
from policyd.pipeline.reading import ReadPipeline
from policyd.report.decision_json import render_check_json
from policyd.report.findings import Unreadable

NOW = datetime(2027, 6, 1, tzinfo=UTC)
LATER = datetime(2027, 6, 2, tzinfo=UTC)
GOOD = """\
on: push
permissions: {}
jobs:
  a: {runs-on: ubuntu-24.04, timeout-minutes: 5, steps: [{run: make}]}
"""
BAD = GOOD.replace("{run: make}", "{uses: somebody/something@v1}")
KEY, OTHER_KEY = "a" * 64, "b" * 64


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / ".github" / "workflows"
    folder.mkdir(parents=True)
    (tmp_path / "project" / ".git").mkdir()
    (folder / "ci.yml").write_text(BAD)
    return tmp_path / "project"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return where each file that is read and not remembered writes itself down."""
    paths: list[str] = []
    original = Source.read

    def counted(source: Source) -> ReadPipeline | Unreadable:
        paths.append(source.shown)
        return original(source)

    monkeypatch.setattr(Source, "read", counted)
    return paths


def _check(project: Path, folder: Path | None, *, now: datetime = NOW, fail_on: Severity | None = None) -> Checked:
    return check([project], settings=None, engine=None, fail_on=fail_on, now=now, cache=folder)


def _said(checked: Checked) -> str:
    return render_check_json(checked.findings, checked.catalogue)


def _workflow(project: Path) -> Path:
    return project / ".github" / "workflows" / "ci.yml"


def test_nothing_changed_is_not_read_again(project: Path, folder: Path, read: list[str]) -> None:
    first = _check(project, folder)
    assert len(read) == 1

    second = _check(project, folder)

    assert len(read) == 1
    assert _said(second) == _said(first) == _said(_check(project, None))
    assert second.findings.verdict is Verdict.DENY


def test_the_answer_is_of_today(project: Path, folder: Path, read: list[str]) -> None:
    _check(project, folder)

    decision = _check(project, folder, now=LATER).findings.judged[0].decision

    assert len(read) == 1
    assert decision.decided_at == "2027-06-02T00:00:00.000000Z"


def test_what_is_weighed_otherwise_decides_otherwise(project: Path, folder: Path) -> None:
    """Kept is what was found: how bad it is taken to be is asked each time."""
    _workflow(project).write_text(GOOD.replace("permissions: {}\n", "").replace(", timeout-minutes: 5", ""))
    for fail_on in (None, Severity.INFO, None, Severity.INFO):
        kept = _check(project, folder, fail_on=fail_on)
        anew = _check(project, None, fail_on=fail_on)
        assert _said(kept) == _said(anew)


def test_a_changed_file_is_judged_anew(project: Path, folder: Path, read: list[str]) -> None:
    _workflow(project).write_text(GOOD)
    assert _check(project, folder).findings.verdict is Verdict.ALLOW
    state = _workflow(project).stat()

    _workflow(project).write_text(BAD)
    os.utime(_workflow(project), ns=(state.st_atime_ns, state.st_mtime_ns))

    assert _check(project, folder).findings.verdict is Verdict.DENY
    assert len(read) == 2


def test_another_file_beside_it_is_another_check(project: Path, folder: Path, read: list[str]) -> None:
    _check(project, folder)
    _workflow(project).with_name("more.yml").write_text(GOOD)

    assert len(_check(project, folder).findings.judged) == 2
    assert len(read) == 3


def test_a_changed_include_is_judged_anew(project: Path, folder: Path) -> None:
    _workflow(project).unlink()
    (project / ".gitlab-ci.yml").write_text("include: /ci/base.txt\n")
    (project / "ci").mkdir()
    base = project / "ci" / "base.txt"
    base.write_text("job: {image: 'a@sha256:%s', script: [make]}\n" % ("0" * 64))
    before = _check(project, folder)
    base.write_text("job: {image: 'a:latest', script: ['curl http://x | sh']}\n")

    after = _check(project, folder)

    assert _said(after) == _said(_check(project, None))
    assert len(list(after.findings.violations())) > len(list(before.findings.violations()))


def test_other_code_of_policyd_is_another_check(
    project: Path, folder: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _check(project, folder)
    monkeypatch.setattr("policyd.app.check_again.__version__", "9.9.9")

    _check(project, folder)

    assert len(read) == 2


def test_what_can_not_be_read_is_undecided_each_time(project: Path, folder: Path, read: list[str]) -> None:
    _workflow(project).with_name("broken.yml").write_text("jobs: [\n")
    first = _check(project, folder)

    again = _check(project, folder)

    assert len(read) == 2
    assert _said(again) == _said(first)
    assert again.findings.verdict is Verdict.UNDECIDED
    assert again.exit_code == 3


def test_what_can_not_be_read_because_of_another_file_is_not_kept(project: Path, folder: Path) -> None:
    (project / ".gitlab-ci.yml").write_text("include: /ci/base.txt\n")
    (project / "ci").mkdir()
    (project / "ci" / "base.txt").write_text("job: [\n")
    assert _check(project, folder).findings.verdict is Verdict.UNDECIDED
    assert list(folder.iterdir()) == []

    (project / "ci" / "base.txt").write_text("job: {script: [make]}\n")

    assert _check(project, folder).findings.unreadable == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"x",
        lambda content: b"0" * 64 + content[64:],
        lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
    ],
    ids=["empty", "cut", "longer", "other digest", "one bit"],
)
def test_a_spoilt_entry_is_ignored_and_written_again(
    project: Path,
    folder: Path,
    read: list[str],
    spoil: object,
) -> None:
    assert callable(spoil)
    _check(project, folder)
    [entry] = folder.iterdir()
    whole = entry.read_bytes()
    entry.write_bytes(spoil(whole))

    assert _check(project, folder).findings.verdict is Verdict.DENY
    assert len(read) == 2
    assert entry.read_bytes() == whole


def test_the_entry_of_another_check_says_nothing(project: Path, folder: Path, read: list[str]) -> None:
    """Whoever renames an entry, even in a folder that nobody else can write to, does not allow anything."""
    _workflow(project).write_text(GOOD)
    assert _check(project, folder).findings.verdict is Verdict.ALLOW
    [good] = folder.iterdir()
    _workflow(project).write_text(BAD)
    _check(project, folder)
    [bad] = [entry for entry in folder.iterdir() if entry != good]
    bad.write_bytes(good.read_bytes())

    assert _check(project, folder).findings.verdict is Verdict.DENY
    assert len(read) == 3


def test_well_kept_words_of_another_shape_say_nothing(project: Path, folder: Path, read: list[str]) -> None:
    _check(project, folder)
    [entry] = folder.iterdir()
    cache = CheckCache(folder)
    for content in (b"{}", b'{"files": []}', b"[", b'{"files": [{"known": 1}]}'):
        cache.keep(entry.name, content)
        assert _check(project, folder).findings.verdict is Verdict.DENY


def test_a_folder_inside_the_project_is_not_used(project: Path, read: list[str]) -> None:
    inside = project / "cache"
    for _ in range(2):
        _check(project, inside)

    assert len(read) == 2
    assert not inside.exists()


def test_a_link_into_the_project_is_not_used(project: Path, folder: Path) -> None:
    (project / "cache").mkdir()
    folder.symlink_to(project / "cache")

    assert open_cache(folder, outside=project) is None


def test_a_folder_that_others_can_write_to_is_not_used(project: Path, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)

    assert open_cache(folder, outside=project) is None


def test_an_entry_that_others_can_write_to_is_not_used(folder: Path, project: Path) -> None:
    cache = open_cache(folder, outside=project)
    assert cache is not None
    cache.keep(KEY, b"something")
    assert cache.find(KEY) == b"something"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / KEY).stat().st_mode & 0o777 == 0o600

    (folder / KEY).chmod(0o666)

    assert cache.find(KEY) is None


def test_an_entry_under_another_name_is_not_found(folder: Path, project: Path) -> None:
    cache = open_cache(folder, outside=project)
    assert cache is not None
    cache.keep(KEY, b"something")
    (folder / KEY).rename(folder / OTHER_KEY)

    assert cache.find(OTHER_KEY) is None


def test_entries_are_bounded(folder: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = open_cache(folder, outside=project)
    assert cache is not None
    monkeypatch.setattr(check_cache, "MAX_ENTRY_BYTES", 1000)
    cache.keep(KEY, os.urandom(2000))
    assert cache.find(KEY) is None

    for number in range(MAX_ENTRIES + 3):
        cache.keep(f"{number:064x}", b"x")

    assert len(list(folder.iterdir())) == MAX_ENTRIES


def test_what_unpacks_without_end_is_not_found(folder: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = open_cache(folder, outside=project)
    assert cache is not None
    cache.keep(KEY, bytes(100_000))
    monkeypatch.setattr(check_cache, "MAX_CONTENT_BYTES", 1000)

    assert cache.find(KEY) is None


def test_where_a_rule_reads_the_time_nothing_is_kept(
    project: Path, folder: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reads_time(modules: object, field: str) -> bool:
        return field == "evaluated_at"

    monkeypatch.setattr("policyd.app.check_cache.can_read", reads_time)
    for _ in range(2):
        _check(project, folder)

    assert len(read) == 2
    assert list(folder.iterdir()) == []


def test_a_named_file_that_does_not_parse_is_an_error_each_time(project: Path, folder: Path) -> None:
    _workflow(project).write_text("jobs: [\n")
    for _ in range(2):
        with pytest.raises(PolicydError):
            check([_workflow(project)], settings=None, engine=None, fail_on=None, now=NOW, cache=folder)
