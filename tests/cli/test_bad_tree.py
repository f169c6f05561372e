"""A folder with everything that can be wrong with files: each is named once, the rest is judged, nothing breaks.

The real command over real files, with the exit code of the table.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.workshop import Said, Workshop

pytestmark = pytest.mark.xdist_group("cli-bad-tree")

GOOD = """\
name: good
on: push
permissions: {}
jobs:
  a:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - run: echo hello
"""
JOB = "on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: "
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)
#: By name of the workflow; each can't be read, whatever lies beside it.
UNREADABLE = {
    "broken": b"on: [push\njobs: {a: b\n",
    "tab": b"on: push\njobs:\n\ta: b\n",
    "empty": b"",
    "null": b"null\n",
    "list": b"- a\n- b\n",
    "text": b"just text\n",
    "jobs-number": b"on: 5\njobs: 7\n",
    "trigger-list": b"on: {push: [1, 2]}\njobs: {a: [1], b: null}\n",
    "steps-number": b"on: push\njobs: {a: {runs-on: x, steps: 4}}\n",
    "step-text": b"on: push\njobs: {a: {runs-on: x, steps: [x, 1, [y]]}}\n",
    "uses-mapping": b"on: push\njobs: {a: {runs-on: x, steps: [{uses: {a: b}}]}}\n",
    "uses-empty": b"on: push\njobs: {a: {runs-on: x, steps: [{uses: ''}]}}\n",
    "merge": b"on: push\njobs:\n  a: &a {runs-on: x, steps: [{run: x}]}\n  b: {<<: *a}\n",
    "bomb": BOMB.encode() + b"on: push\njobs: {}\n",
    "circle": b"on: push\njobs: &x\n  a: *x\n",
    "many-values": b"on: push\njobs:\n" + b"  j: [1, 2, 3, 4, 5, 6, 7]\n" * 40_000,
    "large": GOOD.encode() + b"#" + b"x" * (10 * 1024 * 1024),
    "deep-list": b"[" * 100_000,
    "deep-mapping": b"on: push\njobs: " + b"{a: " * 100_000 + b"}" * 100_000,
    "deep-indent": b"on: push\njobs:\n" + b"".join(b" " * depth + b"a:\n" for depth in range(1, 400)),
    "not-utf-8": b"on: push\njobs: {a: {runs-on: \xff\xfe}}\n",
    "utf-16": "on: push\njobs: {}\n".encode("utf-16"),
    "nul": b"on: push\njobs:\x00 {}\n",
    "template": b"on: push\njobs:\n  {{ name }}:\n    runs-on: x\n",
    "template-value": b"on: push\njobs: {a: {runs-on: {{ x }}, steps: [{run: x}]}}\n",
    "key-twice": b"on: push\non: pull_request\njobs: {}\n",
    "two-documents": GOOD.encode() + b"---\n" + GOOD.encode(),
    "tag": b"on: push\njobs: !!python/object/apply:os.system ['x']\n",
    "not-a-number": b"on: push\njobs: {a: {runs-on: x, timeout-minutes: .nan, steps: [{run: x}]}}\n",
    "half-a-character": b'on: push\njobs: {a: {runs-on: "\\ud800", steps: [{run: x}]}}\n',
    "list-as-key": b"on: push\njobs: {? [a, b] : c}\n",
}
#: Odd, and fine.
JUDGED = {
    "good": GOOD.encode(),
    "anchor": b"on: push\njobs:\n  a: &a {runs-on: x, steps: [{run: x}]}\n  b: *a\n",
    "crlf": GOOD.replace("\n", "\r\n").encode(),
    "bom": b"\xef\xbb\xbf" + GOOD.encode(),
    "deep-shell": JOB.encode() + b"echo " + b"$(" * 20_000 + b"\n",
    "deep-expression": JOB.encode() + b"echo ${{ " + b"(" * 20_000 + b" }}\n",
    "10-megabytes": GOOD.encode() + b"#" + b"x" * (10 * 1024 * 1024 - len(GOOD) - 2) + b"\n",
}
OTHERS = {
    ".gitlab-ci.yml": b"a: [1]\nstages: 5\ninclude: {a: 5}\n",
    "azure-pipelines.yml": b"trigger: [5]\nsteps: 7\nstages: [1, {stage: [2], jobs: 5}]\n",
    "action.yml": b"runs: 5\n",
    "task.yaml": b"apiVersion: tekton.dev/v1\nkind: Task\nspec: {steps: 5, params: [1]}\n",
    "pipeline.yaml": b"policyd: pipeline/v1\nstages: 5\n",
    ".github/dependabot.yml": b"version: [2]\nupdates: {a: b}\n",
}


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    # The name of a socket may have 107 bytes at most, so it is bound from where it lies.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


SPECIAL: dict[str, Callable[[Path], None]] = {
    "fifo": _fifo,
    "socket": _socket,
    "link": lambda path: path.symlink_to("good.yml"),
    "loop": lambda path: path.symlink_to(path.name),
    "nowhere": lambda path: path.symlink_to("not-there"),
    "passwd": lambda path: path.symlink_to("/etc/passwd"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with all of them, and links that lead round in circles."""
    workflows = tmp_path / ".github" / "workflows"
    workflows.mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    for name, content in {**UNREADABLE, **JUDGED}.items():
        (workflows / f"{name}.yml").write_bytes(content)
    for name, make in SPECIAL.items():
        make(workflows / f"{name}.yml")
    for name, content in OTHERS.items():
        (tmp_path / name).write_bytes(content)
    (workflows / "folder.yml").mkdir()
    (tmp_path / "up").symlink_to("..")
    (workflows / "self").symlink_to(".")
    return tmp_path


def test_each_bad_file_is_named_once_and_the_rest_is_judged(shop: Workshop, tree: Path) -> None:
    said = shop.call("check", "--no-cache", "--format", "json", ".", cwd=tree).require(3)

    names = sorted(one["path"] for one in said.json["unreadable"])
    workflows = [f".github/workflows/{name}.yml" for name in (*UNREADABLE, *SPECIAL)]
    assert names == sorted([*workflows, *OTHERS])
    judged = sorted(one["path"] for one in said.json["decisions"])
    assert judged == sorted(f".github/workflows/{name}.yml" for name in JUDGED)
    assert {one["decision"]["verdict"] for one in said.json["decisions"]} <= {"allow", "deny"}
    assert said.err == ""


def test_the_answer_for_people_is_the_same_however_it_is_made(shop: Workshop, tree: Path) -> None:
    """Read, kept, and taken from what was kept."""
    answers = [shop.call("check", *options, ".", cwd=tree).require(3) for options in (["--no-cache"], [], [])]

    assert len({said.out for said in answers}) == 1
    assert "Traceback" not in answers[0].out
    for name in UNREADABLE:
        assert answers[0].out.count(f"unreadable  .github/workflows/{name}.yml") == 1


@pytest.mark.parametrize("name", ["broken", "bomb", "deep-mapping", "nul", "template", "fifo", "loop"])
def test_a_bad_file_that_is_named_is_wrong_usage(shop: Workshop, tree: Path, name: str) -> None:
    said: Said = shop.call("check", f".github/workflows/{name}.yml", cwd=tree)

    said.require_one_error(2, f"{name}.yml")


def test_a_name_that_is_no_utf_8_is_judged_and_shown_escaped(shop: Workshop, tree: Path) -> None:
    name = os.fsdecode(b"name\xff.yml")
    (tree / name).write_text("policyd: pipeline/v1\nname: a\nstages: [{name: a, kind: scan, run: 'true'}]\n")

    said = shop.call("check", "--format", "json", name, cwd=tree).require(0)

    assert [one["path"] for one in said.json["decisions"]] == ["name\\xff.yml"]


def test_fifty_thousand_files_are_looked_through(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    for folder in range(100):
        (tmp_path / f"{folder}").mkdir()
        for number in range(500):
            (tmp_path / f"{folder}" / f"{number}.txt").touch()
    workflow = tmp_path / "99" / ".github" / "workflows" / "good.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(GOOD)

    said = shop.call("check", "--format", "json", ".", cwd=tmp_path).require(0)

    assert [one["path"] for one in said.json["decisions"]] == ["99/.github/workflows/good.yml"]
