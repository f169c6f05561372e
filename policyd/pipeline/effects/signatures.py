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
        (
            "cosign",
            "--insecure-ignore-tlog --insecure-ignore-sct --insecure-ignore-tlog=true --insecure-ignore-sct=true",
        ),
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
    "go": re.compile(
        r"\benv\s+-w\s.{0,300}(?:GOSUMDB=off|(?:GONOSUMDB|GOPRIVATE)=(?:[^\s,]{1,100},)*\*(?![^\s,])|GONOSUMCHECK=\S|GOFLAGS=\S{0,200}-insecure)"
    ),
    "gradle": re.compile(r"--dependency-verification\s+(?:off|lenient)"),
    "gradlew": re.compile(r"--dependency-verification\s+(?:off|lenient)"),
    "nix": re.compile(r"--option\s+require-sigs\s+false"),
    "yarn": re.compile(r"checksumBehavior\s+[\"']?(?:ignore|update)"),
    "gem": re.compile(r"-P\s+NoSecurity|--trust-policy\s+NoSecurity"),
}
_TRUSTED = re.compile(r"deb(?:-src)?\s+\[[^\]]{0,200}trusted=yes")
_APT = re.compile(
    r"APT::Get::AllowUnauthenticated[=\s]+[\"']?(?:true|1|yes)|AllowInsecureRepositories[=\s]+[\"']?(?:true|1|yes)",
    re.I,
)


_WRITERS = frozenset(("echo", "printf", "cat", "tee", "add-apt-repository"))
PROGRAMS = _WRITERS | _OPTIONS.keys() | _TEXTS.keys()


def find_signature_off(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what tells a program to take what it can't verify."""
    options = _OPTIONS.get(seen.program, frozenset())
    option = next((word for word in seen.args if word in options), "")
    if option:
        yield seen.found("signature-off", option)
        return
    pattern = _TEXTS.get(seen.program)
    found = pattern.search(seen.command.text) if pattern else None
    if found is None and (seen.program in _WRITERS or seen.program.startswith("apt")):
        texts = (seen.command.text, seen.command.stdin)
        found = next((one for text in texts for one in (_TRUSTED.search(text), _APT.search(text)) if one), None)
    if found:
        yield seen.found("signature-off", found[0])
