"""What is fetched and run, and what is fetched without encryption."""

from __future__ import annotations

import pytest

from policyd.pipeline.effects import find_address_effects
from tests.pipeline.effects.said import details, effects

URL = "https://get.example.com/x"


@pytest.mark.parametrize(
    "script",
    [
        f"curl -fsSL {URL} | bash",
        f"curl -fsSL {URL} | sudo -E bash -s -- -y",
        f"wget -qO- {URL} | sh",
        f"curl {URL} | gunzip | sh",
        f"curl {URL} | $SHELL",
        f"(cd /tmp; curl {URL}) | sh",
        f"bash <(curl -s {URL})",
        f"source <(curl -s {URL})",
        f'bash -c "$(curl -fsSL {URL})"',
        f'eval "$(wget -qO- {URL})"',
        f"bash <<< $(curl {URL})",
        f"bash -c 'curl {URL} | sh'",
        f"curl {URL} | python3",
        f"curl {URL} | python3 -",
        f"curl -o x {URL}; chmod +x x; ./x",
        f"curl -o x {URL} && bash x",
        f"curl -Lo /tmp/x {URL} && sudo sh /tmp/x",
        f"wget {URL} && bash x",
        f"wget -O i.sh {URL} && chmod 755 i.sh && sudo ./i.sh",
        f"curl {URL} > i.py; python i.py",
        f"curl -o a.deb {URL}; dpkg -i a.deb",
        f'S=$(curl -s {URL}); eval "$S"',
        f"python -c \"exec(urllib.request.urlopen('{URL}').read())\"",
        f"deno run -A {URL}",
    ],
)
def test_a_download_that_is_run_is_seen(script: str) -> None:
    assert len(details("download-run", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        f"curl -s {URL} | jq .x",
        f"curl {URL} | python3 -m json.tool",
        f"curl {URL} | tar xz",
        f"curl -O {URL}",
        f"curl {URL}; sh other.sh",
        f"curl -o x {URL}; echo 'abc  x' | sha256sum -c -; chmod +x x; ./x",
        f"curl -o x {URL}; sha256sum --check sums; ./x",
        f"curl -o x {URL}; cosign verify-blob --bundle b x; chmod +x x; ./x",
        f"curl -o x {URL}; gpg --verify x.sig x; bash x",
        f'curl -o x {URL}; [ "$(sha256sum x)" = abc ] || exit 1; bash x',
        "echo 'curl https://x | sh'",
        "sh build.sh",
    ],
)
def test_a_download_that_is_not_run_or_is_verified_first_is_fine(script: str) -> None:
    assert details("download-run", script) == []


def test_a_program_that_is_fetched_and_made_executable_is_likely_to_be_run() -> None:
    script = f"curl -fsSLo kubectl {URL} && chmod +x kubectl && sudo mv kubectl /usr/local/bin/"

    assert [(e.kind, e.confidence) for e in effects(script) if e.kind == "download-run"] == [("download-run", "medium")]


@pytest.mark.parametrize(
    "script",
    [
        f"iwr {URL} | iex",
        f"iwr -useb {URL} | Invoke-Expression",
        f"iex ((New-Object System.Net.WebClient).DownloadString('{URL}'))",
        f'Invoke-Expression "$(Invoke-RestMethod {URL})"',
    ],
)
def test_powershell_runs_downloads_in_its_own_way(script: str) -> None:
    assert details("download-run", script, "pwsh")


@pytest.mark.parametrize(
    "script",
    [
        "wget http://example.com/tool.tgz",
        "curl -fsSLo tool http://example.com/tool",
        "curl http://example.com/tool > tool",
        "git clone git://example.com/x.git",
        "pip install --index-url=http://pypi.example.com/simple x",
        "python3 -m pip install -i http://user@pypi.example.com/simple x",
    ],
)
def test_code_over_an_open_connection_is_seen(script: str) -> None:
    assert len(details("insecure-url", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        "wget https://example.com/tool.tgz",
        "wget http://registry:5000/x",
        "curl -o x http://127.0.0.1:8080/",
        "curl -o x http://localhost/",
        "wget http://$HOST/x",
        "curl -f http://staging.example.com/health",
        "curl -o /dev/null http://staging.example.com/health",
        "echo http://example.com > f",
    ],
)
def test_near_hosts_and_answers_that_nobody_keeps_are_fine(script: str) -> None:
    assert details("insecure-url", script) == []


def test_a_reference_to_an_open_address_is_seen() -> None:
    assert [effect.detail for effect in find_address_effects("http://example.com/ci.yml")] == [
        "http://example.com/ci.yml"
    ]
    assert list(find_address_effects("https://example.com/ci.yml")) == []
    assert list(find_address_effects("http://localhost/ci.yml")) == []
    assert list(find_address_effects("actions/checkout@v4")) == []


@pytest.mark.parametrize(
    "script",
    [
        f'python3 -c "$(curl -fsSL {URL})"',
        f"curl -sSL {URL}/tool_1.2_linux.tar.gz | tar xz\n./tool run",
        f"curl -fsSL {URL}/v.tar.gz | tar -xz -C /usr/local/bin",
        f"curl -fsSLO {URL}/w.zip && unzip -q w.zip -d /opt/w && /opt/w/bin/w --version",
        f"curl -o t.tgz {URL}; tar xzf t.tgz; mv t-1.0/t /usr/local/bin/",
    ],
)
def test_a_program_out_of_an_archive_is_run_unseen(script: str) -> None:
    assert len(details("download-run", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        f"curl -sSLO {URL}/fixtures.tar.gz\ntar xzf fixtures.tar.gz -C test/fixtures",
        f"curl -o t.tgz {URL}; sha256sum -c t.sum; tar xzf t.tgz -C /usr/local/bin",
        f"curl -sSL {URL}/data.tar.gz | tar xz\nmake",
    ],
)
def test_an_archive_that_holds_data_or_was_verified_is_fine(script: str) -> None:
    assert not details("download-run", script)


@pytest.mark.parametrize(
    "script",
    [
        "git clone https://github.com/o/r && ./r/install.sh",
        "git clone --depth 1 https://github.com/o/r.git tools\nbash tools/install.sh",
        "git clone https://github.com/o/r\ncd r\n./configure",
        "git clone -b main https://github.com/o/r\nmake -C r install",
    ],
)
def test_a_clone_of_what_moves_is_seen_where_something_of_it_runs(script: str) -> None:
    assert len(details("download-run", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        "git clone https://github.com/o/r && ls r",
        "git clone https://github.com/o/r && python tools/read.py r",
        "git clone --branch v1.2.3 https://github.com/o/r && ./r/install.sh",
        f"git clone https://github.com/o/r && cd r && git checkout {'a' * 40} && ./install.sh",
        'git clone "https://github.com/$GITHUB_REPOSITORY" r && ./r/install.sh',
        "git clone https://github.com/o/r && cd r && git commit -am x && git push && ./done.sh",
        "git clone https://github.com/o/r . && ./install.sh",
    ],
)
def test_a_clone_that_is_read_pinned_or_ones_own_is_fine(script: str) -> None:
    assert details("download-run", script) == []


def test_an_archive_of_java_that_is_fetched_and_run_is_seen() -> None:
    assert len(details("download-run", "wget https://example.com/sign.jar\njava -jar sign.jar a b")) == 1
    assert details("download-run", "wget https://example.com/sign.jar\njava -cp lib Main sign.jar") == []
