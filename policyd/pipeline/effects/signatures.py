"""Signatures and checksums that are not checked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen

_OPTIONS: dict[str, frozenset[str]] = {
    program: frozenset(options.split())
    for programs, options in (
        ("apt apt-get aptitude", "--allow-unauthenticated --force-yes --allow-insecure-repositories"),
        ("yum dnf microdnf rpm tdnf", "--nogpgcheck --no-gpgcheck --nosignature --nodigest --no-gpg-checks"),
        ("zypper", "--no-gpg-checks --allow-unsigned-rpm"),
        ("apk", "--allow-untrusted"),
        ("cosign", "--insecure-ignore-tlog --insecure-ignore-sct --insecure-ignore-tlog=true --insecure-ignore-sct=true"),
        ("gem", "NoSecurity"),
        ("choco", "--ignore-checksums --allow-empty-checksums --allow-empty-checksums-secure --ignore-checksum"),
        ("skopeo podman", "--insecure-policy"),
        ("nix nix-env nix-build nix-store nix-copy", "--no-check-sigs --no-require-sigs"),
        ("flatpak", "--no-gpg-verify --no-gpg-check"),
        ("yarn", "--skip-integrity-check"),
        ("gradle gradlew", "--dependency-verification=off --dependency-verification=lenient"),
        ("Install-Module Install-Package", "-SkipPublisherCheck"),
        ("uv", "--no-verify-hashes"),
        ("pacman", "--nosign"),
        ("slsa-verifier", "--skip-verification"),
    )
    for program in programs.split()
}
_TEXTS: dict[str, re.Pattern[str]] = {
    "go": re.compile(r"\benv\s+-w\s+.*(?:GOSUMDB=off|GONOSUMDB=\S|GONOSUMCHECK=\S|GOFLAGS=\S*-insecure)"),
    "gradle": re.compile(r"--dependency-verification\s+(?:off|lenient)"),
    "gradlew": re.compile(r"--dependency-verification\s+(?:off|lenient)"),
    "nix": re.compile(r"--option\s+require-sigs\s+false"),
    "yarn": re.compile(r"checksumBehavior\s+[\"']?(?:ignore|update)"),
    "gem": re.compile(r"-P\s+NoSecurity|--trust-policy\s+NoSecurity"),
}
_TRUSTED = re.compile(r"deb(?:-src)?\s+\[[^\]]*trusted=yes")
_APT = re.compile(r"APT::Get::AllowUnauthenticated[=\s]+[\"']?(?:true|1|yes)|AllowInsecureRepositories[=\s]+[\"']?(?:true|1|yes)", re.I)


def find_signature_off(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what tells a program to take what it can't verify."""
    options = _OPTIONS.get(seen.program)
    if options is not None:
        for word in seen.args:
            if word in options:
                yield seen.found("signature-off", word)
                break
    pattern = _TEXTS.get(seen.program)
    found = pattern.search(seen.command.text) if pattern else None
    if found is None and "ust" in seen.command.text + seen.command.stdin:
        found = _TRUSTED.search(seen.command.text) or _TRUSTED.search(seen.command.stdin)
    if found is None and seen.program in ("apt", "apt-get", "echo", "printf", "cat"):
        found = _APT.search(seen.command.text) or _APT.search(seen.command.stdin)
    if found:
        yield seen.found("signature-off", found[0])
