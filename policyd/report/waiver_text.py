"""Waivers as people read them: what is asked for before somebody grants it, and the list of all there are."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Protocol

from policyd.models.decision import Decision, Gate, Level, Violation, WaiverNote, WaiverState
from policyd.models.waiver import Waiver
from policyd.report.excerpt import excerpt
from policyd.report.findings import Judged, RuleText
from policyd.report.layout import DEFAULT_WIDTH, Look, Style, count, plain, wrap
from policyd.report.text import show

_INDENT = "  "
_LABEL = 11
STATE_LOOKS: dict[WaiverState, Look] = {
    WaiverState.USED: "good",
    WaiverState.VALID: "good",
    WaiverState.IGNORED: "warn",
    WaiverState.UNUSED: "warn",
    WaiverState.ORPHANED: "warn",
    WaiverState.REQUESTED: "doubt",
    WaiverState.NOT_YET_VALID: "doubt",
    WaiverState.EXPIRED: "quiet",
    WaiverState.REVOKED: "quiet",
    WaiverState.INVALID: "bad",
}


class ListedText(Protocol):
    """What the list says of one waiver."""

    @property
    def note(self) -> WaiverNote:
        """Its state."""

    @property
    def waiver(self) -> Waiver | None:
        """What it permits, where it can be read."""


def render_waiver_facts(
    waiver: Waiver, *, rule: RuleText | None = None, style: Style = plain, width: int = DEFAULT_WIDTH
) -> str:
    """Return everything a waiver says, for whoever asks for it or is about to grant it; ends in a newline."""
    facts = [
        ("rule", waiver.rule + (f" ({rule.severity.value}): {rule.title}" if rule else "")),
        ("permits", waiver.message),
        ("in", waiver.bound_name),
        ("only for", f"target {waiver.target}" if waiver.target else ""),
        ("bound to", f"sha256:{waiver.bound_sha256}"),
        ("because", waiver.reason),
        ("asked by", f"{waiver.requested_by}, {_day(waiver.requested_at.isoformat())}"),
        ("from", _moment(waiver.not_before.isoformat())),
        ("until", _moment(waiver.expires_at.isoformat())),
    ]
    return "\n".join(line for label, text in facts if text for line in _fact(label, text, style, width)) + "\n"


def render_excerpt(judged: Judged, place_index: int, *, style: Style = plain, width: int = DEFAULT_WIDTH) -> str:
    """Return the lines of the file that violation number `place_index` is about; empty where no file shows them."""
    violation = judged.decision.violations[place_index]
    place = violation.place
    # The line with a credential is the credential.
    if place is None or not judged.content or violation.rule == "credentials.hardcoded_credential":
        return ""
    head = f"{_INDENT}{style('place', show(f'{place.file}:{place.line}:{place.column}'))}"
    lines = excerpt(judged.content, place, width=width - 4, style=style)
    return "\n".join([head, *(_INDENT * 2 + line for line in lines)]) + "\n"


def render_waivers(
    listed: Sequence[ListedText], *, governance: str, style: Style = plain, width: int = DEFAULT_WIDTH
) -> str:
    """Return the list of waivers, each with its state and what it permits; ends in a newline."""
    if not listed:
        return "no waivers\n"
    lines: list[str] = []
    for one in listed:
        lines += [*_listed_lines(one, style, width), ""]
    if governance == "self":
        text = "there are no operator settings (governance: self): nobody says whose approval counts, and none is valid"
        lines += [*wrap(f"{style('warn', 'note')}  {text}", width=width, indent=" " * 6), ""]
    states = [one.note.state for one in listed]
    counted = ", ".join(f"{states.count(state)} {_word(state)}" for state in WaiverState if state in states)
    soon = sum(one.note.expires_soon for one in listed)
    lines.append(f"{count(len(listed), 'waiver')}: {counted}" + (f"; soon to expire: {soon}" if soon else ""))
    return "\n".join(lines) + "\n"


def request_words(violation: Violation, gate: Gate, *, path: str = "", key: str = "requester.key") -> str:
    """Return the command that asks for a waiver of `violation`, signed with `key`, or why there can be none."""
    if violation.level is Level.HARD:
        return "waiver: none lifts a hard rule"
    if gate is not Gate.RELEASE and violation.part_sha256 is None:
        return "waiver: none can be given, because the file as a whole breaks the rule"
    place = path or {Gate.RELEASE: "ARTIFACT"}.get(gate, "PIPELINE")
    if gate is Gate.PIPELINE and violation.place is not None:
        place = f"{place}:{violation.place.line}"
    asked = shlex.join(["policyd", "waiver", "request", violation.rule, place])
    return f"waiver: {show(asked)} --reason 'WHY' --expires 30d --key {show(shlex.quote(key))}"


def waiver_words(violation: Violation, decision: Decision) -> str:
    """Return which waiver lifted `violation`, who granted it, until when and why."""
    note = next((one for one in decision.waivers if one.sha256 == violation.waiver), None)
    if note is None:
        return violation.waiver or "none named"
    return f"{note.source}, by {', '.join(note.approved_by)} until {(note.expires_at or '')[:10]}: {note.reason}"


def note_lines(note: WaiverNote, *, style: Style = plain, width: int = DEFAULT_WIDTH) -> list[str]:
    """Return what a decision says of a waiver that was there: one line or two."""
    word = _word(note.state)
    about = f"{show(note.source)}" + (f"  {show(note.rule)}" if note.rule else "")
    lines = [f"{style(STATE_LOOKS[note.state], f'waiver {word}')}  {about}"]
    said = "; ".join(part for part in (note.why, _expiry(note)) if part)
    return lines + (wrap(show(said), width=width, indent=_INDENT) if said else [])


def _listed_lines(one: ListedText, style: Style, width: int) -> list[str]:
    note, waiver = one.note, one.waiver
    soon = note.expires_soon and note.state in (WaiverState.USED, WaiverState.VALID, WaiverState.UNUSED)
    word = "expires soon" if soon else _word(note.state)
    lines = [f"{style('warn' if soon else STATE_LOOKS[note.state], word)}  {style('strong', show(note.source))}"]
    facts = [("why", note.why)]
    if waiver is not None:
        facts += [
            ("rule", waiver.rule),
            ("permits", waiver.message),
            ("in", waiver.bound_name + (f", for target {waiver.target}" if waiver.target else "")),
            ("because", waiver.reason),
            ("asked by", ", ".join(note.requested_by) or f"{waiver.requested_by} (nobody vouches for that)"),
            ("approved by", ", ".join(note.approved_by)),
            ("from", _moment(waiver.not_before.isoformat()) if note.state is WaiverState.NOT_YET_VALID else ""),
            ("until", _moment(waiver.expires_at.isoformat())),
            ("sha256", note.sha256 or ""),
        ]
    return lines + [line for label, text in facts if text for line in _fact(label, text, style, width)]


def _fact(label: str, text: str, style: Style, width: int) -> list[str]:
    first = f"{_INDENT}{label:<{_LABEL}} "
    wrapped = wrap(show(text, width=2000), width=width, indent=" " * len(first), first=first)
    return [f"{_INDENT}{style('quiet', f'{label:<{_LABEL}}')} {wrapped[0].removeprefix(first)}", *wrapped[1:]]


def _expiry(note: WaiverNote) -> str:
    return f"expires soon: {_moment(note.expires_at)}" if note.expires_soon and note.expires_at else ""


def _word(state: WaiverState) -> str:
    return "valid" if state is WaiverState.USED else state.value


def _day(moment: str) -> str:
    return moment[:10]


def _moment(moment: str) -> str:
    """Return `2027-01-31 12:00 UTC`: seconds help nobody who reads when something ends."""
    return f"{moment[:10]} {moment[11:16]} UTC"
