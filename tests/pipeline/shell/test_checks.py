"""What is known of a variable behind a check of it."""

from __future__ import annotations

import pytest

from policyd.pipeline.shell import split_script


def _plain(script: str) -> bool:
    """Say whether `$V` is plain in the command `use "$V"` of the script."""
    (command,) = [one for one in split_script(script) if one.program == "use"]
    return "V" in command.plain


@pytest.mark.parametrize(
    "script",
    [
        '[[ "$V" =~ ^[0-9]+$ ]] || exit 1\nuse "$V"',
        '[[ $V =~ ^v[0-9]+\\.[0-9]+(-rc[0-9]+)?$ ]] || { echo no; exit 1; }\nuse "$V"',
        'if [[ ! "$V" =~ ^[a-z]+$ ]]; then echo no; exit 1; fi\nuse "$V"',
        'if ! [[ "$V" =~ ^[a-z]+$ ]]; then return; fi\nuse "$V"',
        'if [[ "$V" =~ ^(a|b)$ ]]; then use "$V"; fi',
        'if [[ "$V" =~ ^[a-z]+$ ]]; then echo ok; else exit 1; fi\nuse "$V"',
        '[[ "$V" =~ ^[a-z]+$ ]] && use "$V"',
        '[ "$V" = a ] || [ "$V" = b ] || exit 1\nuse "$V"',
        'if [ "$V" != a ] && [ "$V" != b ]; then exit 1; fi\nuse "$V"',
        'if [[ "$V" != a && "$V" != b ]]; then exit 1; fi\nuse "$V"',
        '[ "$V" != a ] && exit 1\nuse "$V"',
        'case "$V" in a|b) ;; *) exit 1 ;; esac\nuse "$V"',
        'case $V in "a b") use "$V" ;; esac',
        "case $V in ''|*[!0-9]*) exit 1 ;; esac\nuse \"$V\"",
        '[[ "$V" =~ ^[a-z]+$ ]] || exit 1\nbash -c "use $V"',
    ],
)
def test_a_variable_is_plain_behind_a_check_that_lets_only_plain_text_pass(script: str) -> None:
    assert _plain(script)


@pytest.mark.parametrize(
    "script",
    [
        '[[ "$V" =~ ^[0-9]+ ]] || exit 1\nuse "$V"',  # what follows is free
        '[[ "$V" =~ [0-9]+$ ]] || exit 1\nuse "$V"',
        '[[ "$V" =~ ^a|b$ ]] || exit 1\nuse "$V"',  # each holds one end
        '[[ "$V" =~ ^v.*$ ]] || exit 1\nuse "$V"',
        '[[ "$V" =~ ^[^0-9]$ ]] || exit 1\nuse "$V"',
        '[[ "$V" == v* ]] || exit 1\nuse "$V"',
        '[[ "$V" =~ ^[0-9]+$ ]] || echo odd\nuse "$V"',
        'if [[ ! "$V" =~ ^[a-z]+$ ]]; then echo no; fi\nuse "$V"',
        'if [[ "$V" =~ ^[a-z]+$ ]]; then exit 1; fi\nuse "$V"',
        'if [[ "$V" =~ ^[a-z]+$ ]]; then echo ok; fi\nuse "$V"',
        'if [[ "$V" =~ ^[a-z]+$ ]]; then echo ok; else use "$V"; fi',
        'if [[ ! "$V" =~ ^[a-z]+$ ]]; then [ -t 1 ] && exit 1; fi\nuse "$V"',
        '[[ "$V" =~ ^[a-z]+$ ]] || exit 1\nV=$OTHER\nuse "$V"',
        '[[ "$V" =~ ^[a-z]+$ ]] || exit 1\nread -r V\nuse "$V"',
        '[[ "$V" =~ ^[a-z]+$ ]] || exit 1\nif a; then V=$OTHER; fi\nuse "$V"',
        '([[ "$V" =~ ^[a-z]+$ ]] || exit 1)\nuse "$V"',  # leaves the inner shell alone
        'check() { [[ "$V" =~ ^[a-z]+$ ]] || return 1; }\nuse "$V"',
        'case "$V" in a|b) ;; *) echo odd ;; esac\nuse "$V"',
        'case "$V" in v*) ;; *) exit 1 ;; esac\nuse "$V"',
        'case "$V" in v*) ;; *[!a-z]*) exit 1 ;; esac\nuse "$V"',
        'case "$V" in *[!a-z$]*) exit 1 ;; esac\nuse "$V"',
        'case "$V" in a|b) ;; esac\nuse "$V"',
        '[ "$V" = a ] || [ "$W" = b ] || exit 1\nuse "$V"',
        'grep -Eq "^[a-z]+$" <<< "$V" || exit 1\nuse "$V"',  # one line that fits is enough
        '[ "$V" = "$OTHER" ] || exit 1\nuse "$V"',
    ],
)
def test_a_variable_is_not_plain_where_free_text_gets_by(script: str) -> None:
    assert not _plain(script)
