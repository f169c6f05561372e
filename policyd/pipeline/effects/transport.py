"""Connections whose other end is not verified."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.hosts import hosts_in
from policyd.pipeline.effects.seen import Seen

#: By program: words that say so by themselves.
_OPTIONS: dict[str, re.Pattern[str]] = {
    program: re.compile(rf"(?:{pattern})\Z")
    for programs, pattern in (
        # Options without a value may be written together: -fsSLk. What follows an option with a value belongs to it.
        ("curl", r"--insecure|--proxy-insecure|-[#0-9afgijlnpqsvGILMNORSZ]*k[A-Za-z#0-9]*"),
        ("wget rclone s3cmd", r"--no-check-certificate"),
        ("aria2c", r"--check-certificate=false"),
        ("deno", r"--unsafely-ignore-certificate-errors(?:=.*)?"),
        ("mc conan", r"--insecure"),
        ("http https", r"--verify=no|--verify=false"),
        ("pip uv uvx", r"--trusted-host(?:=.*)?|--allow-insecure-host(?:=.*)?"),
        (
            """
                kubectl helm oc skopeo podman buildah crane oras argocd flux docker nerdctl regctl cosign trivy
                grype istioctl ko
            """,
            r"--insecure-skip-tls-verify(?:=true)?|--insecure-skip-tls-verify-backend|--(?:src-|dest-)?tls-verify=(?:false|0)"
            r"|--kube-insecure-skip-tls-verify|--insecure(?:=true)?|--allow-insecure-registry|--skip-tls-verify|--insecure-registry.*"
            r"|--tls=false",
        ),
        (
            "executor kaniko",
            r"--(?:skip-tls-verify|insecure)(?:-pull)?(?:=true)?|--(?:skip-tls-verify|insecure)-registry(?:=.*)?",
        ),
        ("dockerd dockerd-entrypoint.sh", r"--insecure-registry(?:=.*)?|--tls=false|--tlsverify=false"),
        ("aws s5cmd", r"--no-verify-ssl"),
        ("gh glab", r"--skip-tls-verify|--insecure"),
        ("npm yarn pnpm", r"--(?:no-strict-ssl|strict-ssl=false)"),
        (
            "mvn mvnw gradle gradlew",
            r"-Djib\.allowInsecureRegistries=true|-Dmaven\.wagon\.http\.ssl\.(?:insecure|allowall)=true|-Daether\.connector\.https\.securityMode=insecure",
        ),
        ("ansible-galaxy", r"-c|--ignore-certs"),
        ("svn", r"--trust-server-cert(?:-failures=.*)?"),
        ("terraform", r"-insecure"),
        ("vault consul nomad", r"-tls-skip-verify|-http-ssl-verify=false"),
        ("sonar-scanner newman", r"--insecure|-k"),
        ("apt apt-get", r"Acquire::https?(?:::[^:]+)?::Verify-(?:Peer|Host)=(?:\"|')?(?:false|0|no)(?:\"|')?"),
        ("yum dnf microdnf", r"--setopt=(?:.*\.)?sslverify=(?:false|0|no)"),
        ("Invoke-WebRequest Invoke-RestMethod iwr irm", r"(?i:-SkipCertificateCheck(?:=\S*|:\$true)?)"),
    )
    for program in programs.split()
}
#: By program: a pattern of the whole text.
_TEXTS: dict[str, re.Pattern[str]] = {
    "git": re.compile(r"http(?:\.\S{0,200})?\.sslVerify[\s=]+[\"']?(?:false|0|no|off)\b", re.I),
    "npm": re.compile(r"\bset\s+[\"']?strict-ssl[\s=]+[\"']?(?:false|0)\b"),
    "yarn": re.compile(r"\bset\s+[\"']?(?:strict-ssl|enableStrictSsl)[\"']?\s+[\"']?(?:false|0)\b"),
    "docker": re.compile(
        r"\A\S*docker\s+(?:-\S+\s+)?(?:-H|--host)[ =][\"']?tcp://(?!localhost|127\.|docker:)\S{0,200}:2375\b"
    ),
    "dockerd": re.compile(r"(?:-H|--host)[ =][\"']?tcp://\S{0,200}:2375\b"),
    "terraform": re.compile(r"-backend-config[\s=]+[\"']?(?:skip_cert_verification|insecure)\s*=\s*[\"']?true\b"),
    "tofu": re.compile(r"-backend-config[\s=]+[\"']?(?:skip_cert_verification|insecure)\s*=\s*[\"']?true\b"),
    "poetry": re.compile(r"\bconfig\s+certificates\.\S{1,100}\.cert\s+false\b"),
    "http": re.compile(r"--verify\s+(?:no|false)\b"),
    "https": re.compile(r"--verify\s+(?:no|false)\b"),
    "lftp": re.compile(r"verify-certificate\s+(?:no|off|false)\b"),
    "pnpm": re.compile(r"\bset\s+strict-ssl[\s=]+[\"']?(?:false|0)\b"),
    "conda": re.compile(r"--set\s+ssl_verify\s+(?:false|no|off)\b", re.I),
    "composer": re.compile(r"\b(?:disable-tls\s+(?:true|1)|secure-http\s+(?:false|0))\b"),
    "bundle": re.compile(r"ssl_verify_mode[\s=]+[\"']?0\b"),
    "go": re.compile(r"\benv\s+-w\s.{0,300}GOINSECURE=[^\s]"),
    "pip": re.compile(r"\bconfig\s+set\s+\S{0,50}trusted-host\s+\S"),
    "gcloud": re.compile(r"\bset\s+auth/disable_ssl_validation\s+true", re.I),
    "ssh": re.compile(r"StrictHostKeyChecking[=\s]+[\"']?(?:no|off)\b|UserKnownHostsFile[=\s]+[\"']?/dev/null\b", re.I),
}
_SSH = frozenset(("ssh", "scp", "sftp", "rsync", "ssh-copy-id", "sshpass"))
_WRITERS = frozenset(("echo", "printf", "cat", "tee"))
#: Files of settings, and what in them tells a program not to verify.
_SETTINGS: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(rf"(?:{file})\Z"), re.compile(rf"(?:^|[\s\"';]|\\[nt])(?:{setting})(?![A-Za-z0-9_])", re.I))
    for file, setting in (
        (r"\.ssh/config|ssh_config(?:\.d/\S+)?", r"StrictHostKeyChecking[=\s]+(?:no|off)"),
        (r"curlrc", r"insecure|-k|--insecure"),
        (r"gemrc", r":ssl_verify_mode:\s*0"),
        (r"wgetrc", r"check[_-]certificate\s*=\s*(?:off|no|0)"),
        (r"npmrc|\.yarnrc(?:\.yml)?", r"(?:strict-ssl|enableStrictSsl)[=:\s]+\"?false"),
        (r"pip\.(?:conf|ini)", r"trusted-host\s*=\s*\S+"),
        (r"\.gitconfig|gitconfig|\.git/config", r"sslVerify\s*=\s*(?:false|0|off|no)"),
        (r"\.?condarc", r"ssl_verify:\s*(?:false|no|off)"),
        (r"daemon\.json|registries\.conf(?:\.d/\S+)?", r"insecure-registries|insecure\s*=\s*true"),
        (r"apt\.conf(?:\.d/\S+)?", r"Acquire::https?(?:::[^:\s]+)?::Verify-(?:Peer|Host)\s+\"?(?:false|0|no)"),
    )
)
_SETTING = re.compile(
    r"StrictHostKey|insecure|-k\b|check[_-]cert|strict-?ssl|trusted-host|sslverify|ssl_verify|Verify-(?:Peer|Host)",
    re.I,
)
PROGRAMS = _SSH | _WRITERS | _OPTIONS.keys() | _TEXTS.keys()
_IN_CODE = re.compile(
    r"_create_unverified_context|verify\s*=\s*False|rejectUnauthorized['\"]?\s*:\s*false|CURLOPT_SSL_VERIFYPEER\s*,\s*(?:0|false)"
    r"|InsecureSkipVerify:\s*true|ServerCertificateValidationCallback\s*\+?=\s*\{\s*(?:return\s+)?\$true|RemoteCertificateValidationCallback\]\s*\{\s*(?:return\s+)?\$true"
    r"|(?i:\bSkipCertificateCheck['\"]?\s*=\s*\$true)|TrustAllCertsPolicy|VERIFY_NONE"
    r"|(?:process\.env|environ)[\[.\"']{1,2}(?:NODE_TLS_REJECT_UNAUTHORIZED|PYTHONHTTPSVERIFY)[\"'\]]{0,2}\s*=\s*[\"']?0"
)


def find_tls_off(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what tells a program not to verify who it talks to. Only talking to this machine is left out."""
    if seen.program in _WRITERS:
        yield from _written(seen)
        return
    options = _OPTIONS.get(seen.program)
    if options is not None:
        for word in seen.args:
            if word[:1] in ("-", "A") and options.match(word):
                if not _stays_near(seen, word):
                    yield seen.found("tls-off", word)
                break
    pattern = _TEXTS.get("ssh" if seen.program in _SSH else seen.program)
    if pattern is not None:
        found = pattern.search(seen.command.text)
        if found:
            yield seen.found("tls-off", found[0], confidence="low" if seen.program in _SSH else "high")


def _written(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what tells a program, by its file of settings, to take any host for the right one."""
    command = seen.command
    written = " ".join(command.argv[1:])
    if not (_SETTING.search(written) or (command.stdin and _SETTING.search(command.stdin))):
        return
    files = command.writes_to if command.program != "tee" else [*command.writes_to, *command.argv[1:]]
    if command.pipes_to == "tee":
        files = [*files, *next((other.argv[1:] for other in seen.after() if other.program == "tee"), [])]
    for file in files:
        for name, setting in _SETTINGS:
            if name.search(file):
                confidence: Literal["low", "high"] = "low" if "ssh" in file else "high"
                if found := setting.search(written):
                    yield seen.found("tls-off", found[0].strip(), confidence=confidence)
                elif found := setting.search(command.stdin):
                    yield seen.in_document(
                        seen.found("tls-off", found[0].strip(), confidence=confidence), found.end() - 1
                    )
                return


def find_tls_off_in_code(seen: Seen) -> Iterator[FoundEffect]:
    """Yield where inline code of an interpreter, or PowerShell, switches verification off."""
    lines: set[int] = set()
    for within in _IN_CODE.finditer(seen.command.stdin):
        found = seen.in_document(seen.found("tls-off", within[0]), within.start())
        if found.start not in lines:
            lines.add(found.start)
            yield found
    if not lines and (written := _IN_CODE.search(seen.command.text)):
        yield seen.found("tls-off", written[0])


def _stays_near(seen: Seen, word: str) -> bool:
    if seen.program in ("pip", "uv", "uvx"):
        host = word.partition("=")[2] or seen.value("--trusted-host", "--allow-insecure-host") or ""
        return bool(re.match(r"localhost|127\.|\[?::1", host))
    addresses = " ".join(seen.args)
    if "http://" in addresses and "https://" not in addresses:
        return True  # there is nothing to verify
    hosts = hosts_in(seen.args)
    if not hosts:
        hosts = [
            arg.partition("/")[0].partition(":")[0]
            for arg in seen.args
            if re.match(r"(?:localhost|127\.)[:/0-9.]*", arg)
        ]
    # A private network is not enough here: that is where such certificates are used, and where others listen too.
    return bool(hosts) and all(
        re.match(r"localhost\Z|127\.|0\.0\.0\.0|\[::1|host\.docker\.internal", host) for host in hosts
    )
