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


@pytest.mark.parametrize(
    ("call", "evaluated"),
    [
        ("exec.exec('bash', ['-c', text]);", True),
        ("exec.getExecOutput('sh', ['-c', `echo ${text}`]);", True),
        ("require('child_process').execSync(`./x ${text}`);", True),
        ("exec.exec('./x', ['--title', text]);", False),
        ("core.info(text);", False),
    ],
)
def test_what_a_workflow_script_takes_from_the_event_is_an_outsiders_text(call: str, evaluated: bool) -> None:
    code = f"const text = context.payload.comment.body;\nawait {call}\n"
    assert _found("evaluates", code, "javascript") == ([2] if evaluated else [])


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("python", 'import sys\nsubprocess.check_call([sys.executable, "-m", "pip", "install", "jinja2"])\n'),
        ("python", 'for p in ("a", "b"):\n    subprocess.run(f"pip install {p}", shell=True, check=True)\n'),
        ("python", 'import os\nos.system("npm install -g serverless")\n'),
        ("python", 'names = ["a"]\nsubprocess.run(["pip", "install", *names], check=True)\n'),
        ("node", "const { execSync } = require('child_process');\nexecSync('npm i -g standard-version');\n"),
        ("node", "const cp = require('child_process');\ncp.spawnSync('npm', ['install', 'left-pad']);\n"),
    ],
)
def test_packages_that_code_installs_by_name_stand_in_their_line(shell: str, code: str) -> None:
    assert _found("unlocked-install", code, shell) == [2]


@pytest.mark.parametrize(
    "code",
    [
        'subprocess.run(["npm", "ci"], check=True)\n',
        'subprocess.run(["pip", "install", "--require-hashes", "-r", "r.txt"], check=True)\n',
        'subprocess.run(["pip", "install", "-e", "."], cwd="x")\n',
        'print("pip install requests")\n',
        'subprocess.run(["make", "install", "all"])\n',
    ],
)
def test_code_that_installs_what_is_locked_or_nothing_is_fine(code: str) -> None:
    assert _found("unlocked-install", code, "python") == []
