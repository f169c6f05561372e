"""Variables that make programs load foreign code."""

from __future__ import annotations

import pytest

from policyd.pipeline.effects import find_variable_effects
from tests.pipeline.effects.said import details


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LD_PRELOAD", "./x.so"),
        ("BASH_ENV", "./env.sh"),
        ("NODE_OPTIONS", "--require=./x.js"),
        ("PYTHONSTARTUP", "./x.py"),
        ("PERL5OPT", "-Mx"),
        ("JAVA_TOOL_OPTIONS", "-javaagent:/tmp/a.jar"),
        ("GIT_EXTERNAL_DIFF", "./diff.sh"),
        ("PATH", "./bin:/usr/bin"),
        ("PATH", "/usr/bin::/bin"),
        ("PATH", "/tmp/bin:/usr/bin"),
    ],
)
def test_a_variable_that_loads_code_is_seen(name: str, value: str) -> None:
    assert [effect.kind for effect in find_variable_effects(name, value)] == ["loads-code"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NODE_OPTIONS", "--max-old-space-size=4096"),
        ("PATH", "/opt/tool/bin:/usr/bin:/bin"),
        ("PATH", "$HOME/.local/bin:$PATH"),
        ("LD_PRELOAD", ""),
        ("GIT_PAGER", "cat"),
        ("GIT_SSH_COMMAND", "ssh -i key"),
        ("JAVA_TOOL_OPTIONS", "-Xmx1g"),
    ],
)
def test_a_variable_that_loads_nothing_is_fine(name: str, value: str) -> None:
    assert list(find_variable_effects(name, value)) == []


@pytest.mark.parametrize(
    "script",
    ["LD_PRELOAD=./x.so make", "export BASH_ENV=./env.sh", "echo NODE_OPTIONS=--require=./x.js >> $GITHUB_ENV"],
)
def test_scripts_set_such_variables_too(script: str) -> None:
    assert len(details("loads-code", script)) == 1


@pytest.mark.parametrize(
    "script", ["export TF_LOG=trace", "TF_LOG=DEBUG terraform plan", "export TF_LOG_PROVIDER=JSON"]
)
def test_what_makes_terraform_print_its_requests_is_seen(script: str) -> None:
    assert len(details("debug", script)) == 1


@pytest.mark.parametrize("script", ["export TF_LOG=ERROR", "TF_LOG=TRACE TF_LOG_PATH=tf.log terraform plan"])
def test_other_levels_and_logs_kept_in_a_file_are_fine(script: str) -> None:
    assert details("debug", script) == []
