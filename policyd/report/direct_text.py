"""Verification with direct trust, as people read it: every check with what it found, then the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from policyd.attestation.findings import DirectCheck, DirectVerification, State
from policyd.report.layout import DEFAULT_WIDTH, Look, Style, count, plain, wrap
from policyd.report.text import show

#: The word is at the left, so that a check that failed is found without colour.
_WORDS: dict[State, tuple[str, Look]] = {
    State.HELD: ("ok", "good"),
    State.FAILED: ("refused", "bad"),
    State.WEAKENED: ("weaker", "warn"),
    State.SKIPPED: ("skipped", "warn"),
}


class BundleAnswer(Protocol):
    """One bundle and what was found."""

    @property
    def path(self) -> str:
        """Where it lies."""

    @property
    def found(self) -> DirectVerification:
        """What the checks found."""


def render_direct(
    artifact: str,
    bundles: Sequence[BundleAnswer],
    checks: Sequence[DirectCheck],
    *,
    verified: bool,
    left_out: Sequence[tuple[str, str]] = (),
    style: Style = plain,
    width: int = DEFAULT_WIDTH,
) -> str:
    """Return what was found and whether `artifact` is verified; ends in a newline.

    One bundle is shown with all its checks. Of several, each has a line, and those that failed have their checks.
    `left_out` are attestations that were not looked at, with the types they claim to be of.
    """
    lines: list[str] = []
    for bundle in bundles:
        if len(bundles) > 1:
            lines.append(_bundle_line(bundle, style))
        if len(bundles) == 1 or not bundle.found.verified:
            lines += _check_lines(bundle.found.checks, style, width)
    lines += [f"{style('quiet', 'left out')} {show(path)}: {show(kind)}" for path, kind in left_out]
    lines += _check_lines(checks, style, width)
    made = [check for bundle in bundles for check in bundle.found.checks] + list(checks)
    held = sum(bundle.found.verified for bundle in bundles)
    if not verified:
        failed = [check for check in made if check.state is State.FAILED]
        why = f"check {failed[0].number} failed" if failed else "there was nothing to check"
        of = f", {held} of {count(len(bundles), 'bundle')} held" if len(bundles) > 1 else ""
        lines.append(f"{style('bad', 'not verified')}  {show(artifact)}: {why}{of}")
    else:
        counted = [check for bundle in bundles if bundle.found.verified for check in bundle.found.checks]
        less = [check for check in [*counted, *checks] if check.state in (State.WEAKENED, State.SKIPPED)]
        but = f"; {count(len(less), 'check')} weaker or skipped" if less else ""
        what = f"all {count(len(bundles), 'bundle')}" if len(bundles) > 1 else f"all {count(len(made), 'check')}"
        if held < len(bundles):  # an image, for which one is enough
            what = f"{held} of {count(len(bundles), 'bundle')}"
        lines.append(f"{style('good', 'verified')}  {show(artifact)}: {what} held{but}")
    return "\n".join(lines) + "\n"


def _bundle_line(bundle: BundleAnswer, style: Style) -> str:
    found = bundle.found
    word, look = _WORDS[State.HELD if found.verified else State.FAILED]
    if found.verified and any(check.state is State.WEAKENED for check in found.checks):
        word, look = _WORDS[State.WEAKENED]
    said = ""
    if found.signer is not None:
        said = f"  by {show(found.signer.identity or f'sha256:{found.signer.key_sha256}')}"
    return f"{style(look, f'{word:<7}')} {show(bundle.path)}{said}"


def _check_lines(checks: Sequence[DirectCheck], style: Style, width: int) -> list[str]:
    lines: list[str] = []
    for check in checks:
        word, look = _WORDS[check.state]
        first = f"{word:<7} {check.number:>2}  "
        text = f"{show(check.name)}: {show(check.detail)}" if check.detail else show(check.name)
        wrapped = wrap(text, width=width, indent=" " * len(first), first=first)
        lines += [style(look, word) + wrapped[0].removeprefix(word), *wrapped[1:]]
    return lines
