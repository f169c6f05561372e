"""Downloads made by functions of a script."""

from __future__ import annotations

import pytest

from tests.pipeline.effects.said import details

URL = "https://get.example.com/x.sh"


@pytest.mark.parametrize(
    "script",
    [
        f'dl() {{ curl -fsSL "$1" -o "$2"; }}\ndl {URL} x.sh\nsh x.sh',
        f'dl() {{ wget -qO "$2" "$1"; }}\ndl {URL} tool\nchmod +x tool',
        f'dl() {{ curl "$1" > "$2"; }}\ndl {URL} x.sh && bash x.sh',
        f'dl() {{\n local url="$1" out="${{2:-x.sh}}"\n curl -o "$out" "$url"\n}}\ndl {URL} x.sh\n./x.sh',
        f'dl() {{ curl -o "$2" "$1"; }}\nget() {{ dl "$2" "bin/$1"; chmod +x "bin/$1"; }}\nget x {URL}\nbin/x',
        f'again() {{ "$@" || "$@"; }}\nagain curl -fsSLo x.sh {URL}\nsh x.sh',
        f'again() {{ "$@"; }}\nget() {{ again curl --output "$2" "$1"; }}\nget {URL} x.sh\nsh x.sh',
        f'again() {{ until "$@"; do sleep 1; done; }}\nagain curl -s {URL} | bash',
    ],
)
def test_what_a_function_fetches_for_its_caller_and_is_run_is_seen(script: str) -> None:
    assert details("download-run", script) == [URL]


@pytest.mark.parametrize(
    "script",
    [
        f'dl() {{ curl -o "$2" "$1"; }}\ndl {URL} data.csv\nwc -l data.csv',
        f'dl() {{ curl -o "$2" "$1"; echo "$3  $2" | sha256sum -c; }}\ndl {URL} x.sh abc\nsh x.sh',
        f'ok() {{ echo "$2  $1" | sha256sum -c; }}\ndl() {{ curl -o "$2" "$1"; }}\ndl {URL} x.sh\nok x.sh abc\nsh x.sh',
        f'ok() {{ echo "$2  $1" | sha256sum -c; }}\ncurl -o x.sh {URL}\nok x.sh abc\nsh x.sh',
        'api() { curl -fsS "$1"; }\napi https://a.example.com/x.json | jq .id',
        f'dl() {{ curl -o "$2" "$1"; }}\ndl {URL} x.sh\nsh build.sh',
    ],
)
def test_what_is_verified_or_not_run_is_fine(script: str) -> None:
    assert details("download-run", script) == []


def test_a_function_that_runs_what_it_fetches_tells_once() -> None:
    script = f'get() {{ curl -o "$2" "$1"; chmod +x "$2"; }}\nget {URL} a\nget {URL} b\n./a; ./b'

    assert len(details("download-run", script)) == 1


def test_functions_that_call_each_other_come_to_an_end() -> None:
    script = f'a() {{ b "$1"; a "$1"; curl "$1"; }}\nb() {{ a "$1"; b "$1"; }}\na {URL}'

    assert details("download-run", script) == []


def test_many_functions_that_call_each_other_stay_quick() -> None:
    bodies = "\n".join(
        f"f{one}() {{\n" + "\n".join(f'f{other} "$1"' for other in range(50)) + '\ncurl -o x "$1"\n}'
        for one in range(50)
    )

    assert details("download-run", f"{bodies}\n" + f"f1 {URL}\n" * 200) == []


def test_words_that_double_stay_short() -> None:
    doubled = "\n".join(f'v{one + 1}="$v{one}$v{one}"' for one in range(45))

    assert details("download-run", f'f() {{\nv0="$1"\n{doubled}\ncurl -o "$v45" "$1"\n}}\nf {URL}') == []


def test_the_sum_of_another_file_verifies_nothing() -> None:
    fetched = f"curl -o x.sh {URL}\n"

    assert details("download-run", f"{fetched}sha256sum -c other.bin.sha256\nsh x.sh") == [URL]
    assert details("download-run", f"{fetched}sha256sum -c x.sh.sha256\nsh x.sh") == []
    assert details("download-run", f"{fetched}sha256sum -c checksums.sha256\nsh x.sh") == []
