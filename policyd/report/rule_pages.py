"""The rule reference: an index and a page for each rule, in Markdown, from METADATA and examples."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from policyd.models.decision import Gate
from policyd.report.layout import count
from policyd.report.policy_text import ExplainedRule
from policyd.report.text import show, show_lines

INDEX = "README.md"
MADE = "<!-- Made by `policyd policy docs`; change the rule's METADATA or examples instead. -->"

_SYSTEMS = {
    "policyd": "policyd",
    "github": "GitHub Actions",
    "gitlab": "GitLab CI",
    "azure": "Azure Pipelines",
    "tekton": "Tekton",
}
_UNSEEN = re.compile(r"\bnot seen\b|\bdoes not see\b", re.IGNORECASE)
_SEEN = re.compile(r"^seen\b", re.IGNORECASE)


class PageSetting(Protocol):
    """What a page says of one setting of a rule."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def type(self) -> str:
        """What it may hold."""

    @property
    def default(self) -> bool | int | str | tuple[str, ...]:
        """What it is where nobody says more."""

    @property
    def tighter(self) -> str:
        """Which change makes the rule deny more."""

    @property
    def description(self) -> str:
        """What it means."""

    @property
    def choices(self) -> Sequence[str]:
        """The only texts there are; empty for any."""


class RulePage(ExplainedRule, Protocol):
    """What a page says of a rule."""

    @property
    def confidence(self) -> str:
        """How sure its findings are."""

    @property
    def effective_on(self) -> datetime | None:
        """From when it denies; before, it warns."""

    @property
    def settings(self) -> Sequence[PageSetting]:
        """What can be set about it."""


def render_pages(
    rules: Mapping[str, RulePage],
    reads: Mapping[str, Sequence[str]],
    collections: Mapping[str, Sequence[str]],
    examples: Mapping[str, Mapping[str, str]],
    *,
    name: str,
) -> dict[str, str]:
    """Return file name → text: the index and a page for each of `rules`.

    `examples` holds for a rule's id its example files, name → text; those called `bad…` break it, `good…` keep it,
    `with…` lie beside them. A name like `bad-gitlab.yml` says which system the example is for.
    """
    pages = {INDEX: _index(rules, name)}
    for rule_id, rule in rules.items():
        inside = sorted(collection for collection, ids in collections.items() if rule_id in ids)
        pages[f"{rule_id}.md"] = _page(rule, reads[rule_id], inside, examples.get(rule_id, {}))
    return pages


def _index(rules: Mapping[str, RulePage], name: str) -> str:
    lines = [
        "# Rules",
        "",
        MADE,
        "",
        f"The {count(len(rules), 'rule')} of {_text(name)}, by family: what is wrong there.",
    ]
    family = ""
    for rule_id, rule in sorted(rules.items()):
        if rule_id.partition(".")[0] != family:
            family = rule_id.partition(".")[0]
            lines += ["", f"## {family}", "", "| rule | what holds | severity | gate |", "|---|---|---|---|"]
        cells = (f"[{rule_id}]({rule_id}.md)", _cell(rule.title), rule.severity.value, rule.gate.value)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _page(rule: RulePage, reads: Sequence[str], collections: Sequence[str], examples: Mapping[str, str]) -> str:
    why, seen, unseen = split_description(rule.description)
    lines = [f"# {rule.id}", "", MADE, "", f"**{_text(rule.title)}.**", "", _text(why)]
    lines += ["", "## What it sees", ""]
    if seen:
        lines += [_text(seen), ""]
    lines.append("It reads " + (", ".join(f"`input.{name}`" for name in reads) or "nothing of the input") + ".")
    lines += ["", "## What it does not see", ""]
    lines.append(_text(unseen) if unseen else "Its METADATA names nothing.")
    lines += ["", "## What to do", "", _text(rule.remediation)]
    for title, prefix in (("Denied", "bad"), ("Fine", "good"), ("In another file", "with")):
        for name, text in sorted(examples.items()):
            if name.startswith(prefix):
                lines += ["", f"## {title}{_system(name)}", "", *_code(name, text)]
    lines += _settings(rule.settings)
    lines += ["", "## How it is weighed", "", "| | |", "|---|---|"]
    facts = [
        ("severity", rule.severity.value),
        ("level", rule.level.value),
        ("gate", rule.gate.value),
        ("pipelines", ", ".join(rule.applies_to) if rule.gate is Gate.PIPELINE else "any"),
        ("confidence", rule.confidence),
        ("denies from", rule.effective_on.isoformat().replace("+00:00", "Z") if rule.effective_on else "at once"),
        ("controls", ", ".join(rule.controls)),
        ("collections", ", ".join(collections) or "none"),
        ("file", f"`{_cell(rule.path)}`"),
    ]
    lines += [f"| {label} | {text} |" for label, text in facts]
    lines += ["", "[All rules](README.md)"]
    return "\n".join(lines) + "\n"


def _system(name: str) -> str:
    """Return the CI system that an example's name speaks of: `bad-gitlab.yml`, `good-gitlab-2.yml`."""
    parts = name.partition(".")[0].split("-")
    return f": {_SYSTEMS[parts[1]]}" if len(parts) > 1 and parts[1] in _SYSTEMS else ""


def _settings(settings: Sequence[PageSetting]) -> list[str]:
    if not settings:
        return []
    lines = ["", "## What can be set", "", "| setting | meaning | type | default | tighter |", "|---|---|---|---|---|"]
    for setting in settings:
        kind = f"{setting.type}: {', '.join(setting.choices)}" if setting.choices else f"{setting.type}"
        default = "`" + show(json.dumps(setting.default)).replace("|", "\\|").replace("`", "'") + "`"
        cells = (f"`{setting.name}`", _cell(setting.description), _cell(kind), default, f"{setting.tighter}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def split_description(description: str) -> tuple[str, str, str]:
    """Return a rule's description in three: why it matters, what it sees, what it does not see.

    Sentences that begin with `Seen` and those that say `not seen` are told apart; either part may be empty.
    """
    why, seen, unseen = [], [], []
    for sentence in re.split(r"(?<=[.;])\s+(?=[A-Z`]|not seen\b|Not seen\b)", description):
        if _UNSEEN.search(sentence):
            unseen.append(sentence)
        elif _SEEN.match(sentence):
            seen.append(sentence)
        else:
            why.append(sentence)
    return " ".join(why), _ended(" ".join(seen)), _ended(" ".join(unseen))


def _ended(text: str) -> str:
    text = text.rstrip("; ")
    return f"{text[0].upper()}{text[1:]}" + ("" if text.endswith(".") else ".") if text else ""


def _text(text: str) -> str:
    """Return text for a paragraph: what METADATA says may use `code`, and opens neither a tag nor a link."""
    return re.sub(r"[<\[](?=[^`]*(?:`[^`]*`[^`]*)*$)", lambda found: f"\\{found.group()}", show(text))


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _code(name: str, text: str) -> list[str]:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    kind = "json" if name.endswith(".json") else "yaml"
    return [f"{fence}{kind}", *show_lines(text.rstrip("\n")), fence]
