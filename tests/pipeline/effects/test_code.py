"""What code of interpreters runs and prints of variables of the environment."""

from __future__ import annotations

import pytest

from tests.pipeline.effects.said import effects


def _found(kind: str, code: str, shell: str) -> list[int]:
    """Return in which lines of a script of one's own, from 1, an effect of this kind stands."""
    return [code.count("\n", 0, one.start) + 1 for one in effects(code, shell) if one.kind == kind]


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("python", 'import os\nos.system("git tag " + os.environ["TITLE"])\n'),
        ("python", 'title = os.environ["TITLE"]\nos.system(f"git tag {title}")\n'),
        ("python", 'title = os.getenv("TITLE", "")\nsubprocess.run("git tag %s" % title, shell=True)\n'),
        ("python", 'title = os.environ.get("TITLE")\nsubprocess.run(["bash", "-c", f"git tag {title}"])\n'),
        ("node", "const title = process.env.TITLE;\nexecSync(`git tag ${title}`);\n"),
        ("node", "const cp = require('child_process');\ncp.exec('git tag ' + process.env.TITLE);\n"),
        ("ruby", "title = ENV['TITLE']\nsystem(\"git tag #{title}\")\n"),
    ],
)
def test_an_outsiders_text_that_code_runs_is_evaluated_in_its_line(shell: str, code: str) -> None:
    assert _found("evaluates", code, shell) == [2]


@pytest.mark.parametrize(
    "code",
    [
        'title = os.environ["TITLE"]\nsubprocess.run(["git", "tag", title], check=True)\n',
        'title = os.environ["TITLE"]\nsubprocess.run("git tag " + shlex.quote(title), shell=True)\n',
        'title = os.environ["TITLE"]\nos.system("echo title")\n',
        'title = os.environ["TITLE"]\nprint(title)\n',
        'name = os.environ["NAME"]\nos.system("git tag " + name)\n',
        'model = os.environ["TITLE"]\nnet.eval(model)\n',
    ],
)
def test_text_that_stays_one_argument_or_is_quoted_is_not(code: str) -> None:
    assert _found("evaluates", code, "python") == []


@pytest.mark.parametrize(
    "code",
    [
        'token = os.environ["TOKEN"]\nprint(f"with {token}")\n',
        'token = os.environ["TOKEN"]\nlogging.info("with %s", token)\n',
        'token = os.environ["TOKEN"]\nsys.stderr.write(token)\n',
    ],
)
def test_a_secret_that_code_prints_is_seen_in_its_line(code: str) -> None:
    assert _found("secret-print", code, "python") == [2]


@pytest.mark.parametrize(
    "code",
    [
        'token = os.environ["TOKEN"]\nprint("token", len(token), bool(token))\n',
        'known = bool(os.environ["TOKEN"])\nprint(known)\n',
        'token = os.environ["TOKEN"]\nprint("no token")\n',
        'token = os.environ["TOKEN"]\nclient.login(token)\n',
    ],
)
def test_what_tells_of_a_secret_without_telling_it_is_fine(code: str) -> None:
    assert _found("secret-print", code, "python") == []


def test_code_that_verifies_nothing_is_seen_in_its_lines() -> None:
    code = "import requests\nrequests.get(URL, verify=False)\nrequests.get(URL)\nrequests.post(URL, verify=False)\n"
    assert _found("tls-off", code, "python") == [2, 4]


def test_many_calls_are_bounded() -> None:
    code = 'title = os.environ["TITLE"]\n' + "os.system(title)\n" * 5000
    assert 0 < len(_found("evaluates", code, "python")) <= 200
