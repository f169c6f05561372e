"""What can be set and what is asked, as aligned text: a line a rule, and under each rule a line a setting."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

from policyd.report.layout import DEFAULT_WIDTH, Style, count, pad, plain, table, wrap
from policyd.report.text import columns, show

_INDENT = "  "


class SettingText(Protocol):
    """What a list says of one setting of a rule."""

    @property
    def rule(self) -> str:
        """The rule's id."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def type(self) -> str:
        """What it may hold."""

    @property
    def tighter(self) -> str:
        """Which change makes the rule deny more."""

    @property
    def default(self) -> object:
        """What it is where nobody says more."""

    @property
    def value(self) -> object:
        """What it is here."""

    @property
    def where(self) -> str:
        """The place that says so."""

    @property
    def description(self) -> str:
        """What it means."""


class RuleLine(Protocol):
    """What a list says of one rule."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def title(self) -> str:
        """What holds where it is kept."""

    @property
    def severity(self) -> str:
        """How bad a broken rule is."""

    @property
    def level(self) -> str:
        """What a broken rule does here."""

    @property
    def gate(self) -> str:
        """Where it is asked."""

    @property
    def layer(self) -> str:
        """Whose it is."""

    @property
    def asked(self) -> bool:
        """Whether a gate asks it here."""


def render_settings(settings: Sequence[SettingText], *, style: Style = plain, width: int = DEFAULT_WIDTH) -> str:
    """Return every setting with its value and the place it comes from, by rule."""
    lines: list[str] = []
    rule = ""
    cells = [
        (one.name, _json(one.value), one.type, f"tighter: {one.tighter}", f"default {_json(one.default)}")
        for one in settings
    ]
    aligned = table([tuple(show(cell) for cell in row) for row in cells])
    for one, line in zip(settings, aligned, strict=True):
        if one.rule != rule:
            rule = one.rule
            lines += [*([""] if lines else []), style("strong", show(rule))]
        lines.append(_INDENT + line)
        lines += [style("quiet", each) for each in wrap(show(one.description), width=width, indent=_INDENT * 2)]
        lines += [style("place", each) for each in wrap(f"from {show(one.where)}", width=width, indent=_INDENT * 2)]
    changed = sum(one.value != one.default for one in settings)
    lines += ["", f"{count(len(settings), 'setting')}, {changed or 'none'} not as its rule declares"]
    return "\n".join(lines if settings else lines[1:]) + "\n"


def render_rule_list(rules: Sequence[RuleLine], *, style: Style = plain) -> str:
    """Return a line for each rule; one that no gate asks here says so."""
    heads = ("rule", "severity", "level", "gate", "layer", "")
    rows = [tuple(show(cell) for cell in (one.id, one.severity, one.level, one.gate, one.layer)) for one in rules]
    widths = [max(columns(cell) for cell in column) for column in zip(heads[:-1], *rows, strict=True)]
    lines = ["  ".join(pad(head, width) for head, width in zip(heads, widths, strict=False)).rstrip() if rows else ""]
    for one, row in zip(rules, rows, strict=True):
        line = "  ".join(pad(cell, width) for cell, width in zip(row, widths, strict=True))
        title = show(one.title) if one.asked else f"{show(one.title)} (not asked)"
        lines.append(f"{line}  {title}" if one.asked else style("quiet", f"{line}  {title}"))
    asked = sum(one.asked for one in rules)
    lines += [f"{count(len(rules), 'rule')}, {asked} asked"]
    return "\n".join(line for line in lines if line) + "\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
