"""Failures of tests, scans and verifications that are ignored."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen

_VERIFIERS = frozenset(("cosign", "slsa-verifier", "gpg", "minisign", "policyd"))
_SUMS = re.compile(r"(?:sha\d+|b2|md5)sum\Z|shasum\Z")
#: Options that make a check succeed whatever it finds.
_OPTIONS: dict[str, frozenset[str]] = {
    program: frozenset(options.split())
    for programs, options in (
        ("bandit", "--exit-zero"),
        ("checkov tfsec", "--soft-fail -s"),
        ("gitleaks", "--exit-code=0"),
        ("trivy", "--exit-code=0"),
        ("mvn mvnw", "-Dmaven.test.failure.ignore -Dmaven.test.failure.ignore=true -fn --fail-never"),
        ("gradle gradlew", "--continue-on-failure"),
        ("kube-linter", "--ignore-failures"),
        ("hadolint", "--no-fail"),
        ("safety", "--continue-on-error"),
        ("gosec", "-no-fail"),
        ("brakeman", "--no-exit-on-warn"),
        ("kics", "--ignore-on-exit=all --ignore-on-exit=results"),
        ("snyk", "--severity-threshold=none"),
        ("jest", "--passWithNoTests=ignore"),
    )
    for program in programs.split()
}


def find_ignored_failure(seen: Seen, done: Sequence[FoundEffect]) -> Iterator[FoundEffect]:
    """Yield a check whose failure is ignored; `done` is what is known of the command already."""
    checks = any(effect.kind in ("test", "scan") for effect in done) or _verifies(seen)
    if not checks:
        return
    if seen.command.ignored:
        yield seen.found("ignores-failure", _instead(seen))
        return
    options = _OPTIONS.get(seen.program)
    option = next((word for word in seen.args if options and word in options), "")
    if option:
        yield seen.found("ignores-failure", option)
    elif _switched_off(seen):
        yield seen.found("ignores-failure", "set +e", confidence="medium")


def _verifies(seen: Seen) -> bool:
    if _SUMS.match(seen.program):
        return not {"-c", "--check"}.isdisjoint(seen.args)
    if seen.program in _VERIFIERS:
        return any("verify" in word for word in seen.args)
    return False


def _instead(seen: Seen) -> str:
    following = next(iter(seen.after()), None)
    return f"|| {following.text}"[:80] if following else "||"


def _switched_off(seen: Seen) -> bool:
    """Say whether the script goes on after failures here and nobody asks for the exit code afterwards."""
    off = False
    for command in seen.before():
        if command.program == "set" and command.argv[1:]:
            if command.argv[1] in ("+e", "+ex", "+eu", "+eo", "+euo"):
                off = True
            elif re.match(r"-[a-z]*e", command.argv[1]):
                off = False
    if not off or seen.command.tested:
        return False
    rest = list(seen.after())
    return bool(rest) and not any(
        "$?" in command.text or "PIPESTATUS" in command.text or any("$?" in one.value for one in command.sets)
        for command in rest
    )
