"""Test results as JUnit XML, which CI systems show. Text of others is made safe for XML and for people alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from xml.sax.saxutils import escape, quoteattr

from policyd.report.text import show


class TestText(Protocol):
    """What a report says of one test."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def path(self) -> str:
        """The file it stands in."""

    @property
    def engine(self) -> str:
        """The engine that ran it."""

    @property
    def reason(self) -> str:
        """Why it failed; empty where it passed."""

    @property
    def errored(self) -> bool:
        """Whether it could not be judged."""

    @property
    def details(self) -> Sequence[str]:
        """More about why."""


def render_junit(results: Sequence[TestText]) -> str:
    """Return `results` as JUnit XML: one suite for each engine and file."""
    suites: dict[tuple[str, str], list[TestText]] = {}
    for result in results:
        suites.setdefault((result.engine, result.path), []).append(result)
    lines = ['<?xml version="1.0" encoding="utf-8"?>', f"<testsuites {_counts(results)}>"]
    for (engine, path), found in suites.items():
        lines.append(f"  <testsuite name={attribute(f'{engine}: {path}')} {_counts(found)}>")
        for result in found:
            lines += _case(result, engine)
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>"]) + "\n"


def _case(result: TestText, engine: str) -> list[str]:
    opening = f"    <testcase classname={attribute(engine)} name={attribute(result.name)} file={attribute(result.path)}"
    if not result.reason:
        return [f"{opening}/>"]
    kind = "error" if result.errored else "failure"
    text = content((result.reason, *result.details))
    return [f"{opening}>", f"      <{kind} message={attribute(result.reason)}>{text}</{kind}>", "    </testcase>"]


def _counts(results: Sequence[TestText]) -> str:
    errors = sum(result.errored for result in results)
    failures = sum(bool(result.reason) and not result.errored for result in results)
    return f'tests="{len(results)}" failures="{failures}" errors="{errors}"'


def attribute(text: str) -> str:
    """Return foreign text as a quoted attribute."""
    return quoteattr(show(text))


def content(lines: Sequence[str]) -> str:
    """Return foreign lines as the text of an element."""
    return "\n".join(escape(show(line)) for line in lines)
