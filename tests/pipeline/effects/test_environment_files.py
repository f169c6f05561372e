"""Writes that set variables, the path or outputs of later steps."""

from __future__ import annotations

import pytest

from tests.pipeline.effects.said import effects


def _writes(script: str, shell: str = "bash") -> list[tuple[str, str, bool, bool]]:
    kinds = ("environment-write", "output-write")
    return [(e.kind, e.detail, e.untrusted, e.computed) for e in effects(script, shell) if e.kind in kinds]


@pytest.mark.parametrize(
    ("script", "detail", "untrusted", "computed"),
    [
        ('echo "A=1" >> "$GITHUB_ENV"', "GITHUB_ENV", False, False),
        ("echo A=1 >> ${GITHUB_ENV}", "GITHUB_ENV", False, False),
        ("echo $HOME/bin >> $GITHUB_PATH", "GITHUB_PATH", False, False),
        ('echo "T=$TITLE" >> $GITHUB_ENV', "GITHUB_ENV", True, False),
        ('X=$TITLE; echo "T=$X" >> $GITHUB_ENV', "GITHUB_ENV", True, False),
        ('echo "V=$(cat v)" >> $GITHUB_ENV', "GITHUB_ENV", False, True),
        ('V=`cat v`; echo "V=$V" >> $GITHUB_ENV', "GITHUB_ENV", False, True),
        ("cat v >> $GITHUB_ENV", "GITHUB_ENV", False, True),
        ("jq -r .x f >> $GITHUB_ENV", "GITHUB_ENV", False, True),
        ("echo A | tee -a $GITHUB_ENV", "GITHUB_ENV", False, False),
        ("echo $TITLE | tee -a $GITHUB_ENV", "GITHUB_ENV", True, False),
        ("cat <<EOF >> $GITHUB_ENV\nT=$TITLE\nEOF", "GITHUB_ENV", True, False),
        ("cat <<'EOF' >> $GITHUB_ENV\nT=$TITLE\nEOF", "GITHUB_ENV", False, False),
        ("cat >> $GITHUB_ENV <<EOF\nT=$TITLE\nEOF", "GITHUB_ENV", True, False),
        ("echo '##vso[task.setvariable variable=x]v'", "task.setvariable", False, False),
        ('echo "##vso[task.prependpath]$TITLE"', "task.prependpath", True, False),
    ],
)
def test_a_write_for_later_steps_is_seen(script: str, detail: str, untrusted: bool, computed: bool) -> None:
    assert ("environment-write", detail, untrusted, computed) in _writes(script)


@pytest.mark.parametrize(
    ("script", "detail", "untrusted"),
    [
        ('echo "a=1" >> $GITHUB_OUTPUT', "GITHUB_OUTPUT", False),
        ('echo "a=$TITLE" >> $GITHUB_OUTPUT', "GITHUB_OUTPUT", True),
        ("echo '##vso[task.setvariable variable=x;isOutput=true]v'", "task.setvariable", False),
        ("printf x > $(results.digest.path)", "digest", False),
        ("printf x > /tekton/results/digest", "digest", False),
    ],
)
def test_outputs_are_told_from_the_environment(script: str, detail: str, untrusted: bool) -> None:
    assert [(kind, found, tainted) for kind, found, tainted, _ in _writes(script)] == [
        ("output-write", detail, untrusted)
    ]


def test_all_commands_of_a_redirected_group_write() -> None:
    script = '{ echo "A=1"; echo "B=$TITLE"; } >> "$GITHUB_ENV"'

    assert [untrusted for _, _, untrusted, _ in _writes(script)] == [False, True]


def test_powershell_cmd_and_python_write_too() -> None:
    assert _writes('"A=$env:TITLE" >> $env:GITHUB_ENV', "pwsh")[0][1:3] == ("GITHUB_ENV", True)
    assert _writes("echo A=1 | Out-File -FilePath $env:GITHUB_ENV -Append", "pwsh")
    assert _writes("echo A=1>>%GITHUB_ENV%", "cmd")
    assert _writes("import os\nopen(os.environ['GITHUB_ENV'], 'a').write('x')", "python")


@pytest.mark.parametrize(
    "script", ["echo $GITHUB_ENV", "cat $GITHUB_ENV", "echo a >> $GITHUB_STEP_SUMMARY", "echo a > b"]
)
def test_reading_and_other_files_are_no_write(script: str) -> None:
    assert _writes(script) == []


def test_withdrawn_commands_are_named() -> None:
    found = effects('echo "::set-output name=v::1"; echo "::add-mask::x"; grep "::set-env name=" log')

    assert [(e.kind, e.detail) for e in found if e.kind == "deprecated-command"] == [
        ("deprecated-command", "set-output")
    ]


@pytest.mark.parametrize(
    ("script", "untrusted"),
    [
        ('D=$(uuidgen)\n{ echo "A<<$D"; echo "$TITLE"; echo "$D"; } >> $GITHUB_ENV', False),
        ('D="end_$(openssl rand -hex 8)"\ncat <<E >> $GITHUB_ENV\nA<<$D\n$TITLE\n$D\nE', False),
        ('{ echo "A<<END"; echo "$TITLE"; echo END; } >> $GITHUB_ENV', True),
        ('D=END\n{ echo "A<<$D"; echo "$TITLE"; echo "$D"; } >> $GITHUB_ENV', True),
        ('D=$(uuidgen)\n{ echo "A<<$D"; echo x; echo "$D"; echo "$TITLE"; } >> $GITHUB_ENV', True),
        ('D=$(uuidgen)\n{ echo "A<<$D"; echo x; echo "$D"; echo "B=$TITLE"; } >> $GITHUB_ENV', True),
        ('D=$(uuidgen)\necho "$D"\necho "$TITLE" >> $GITHUB_ENV', True),
    ],
)
def test_a_value_between_lines_that_nobody_foresees_ends_where_it_should(script: str, untrusted: bool) -> None:
    assert any(one[2] for one in _writes(script)) is untrusted
