"""An audit as text, JSON and a page that a real browser shows without complaint."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Protocol

import pytest

from policyd.compliance.audit import assess_repository
from policyd.compliance.evidence import DecisionMade
from policyd.compliance.frameworks import read_framework
from policyd.compliance.models import AuditReport, RunEvidence, UnreadablePipeline
from policyd.models.decision import Decision, Effect, Gate, Verdict, Violation
from policyd.report.audit_html import render_audit_html
from policyd.report.audit_json import render_audit_json
from policyd.report.audit_text import render_audit

FRAMEWORKS = Path(__file__).resolve().parents[2] / "policies" / "frameworks"
EVIL = '"><script>document.title="owned"</script><img src=x onerror=alert(1)>\x1b[2J\u202e\' onmouseover=x'


class Browser(Protocol):
    def show(self, page: Path) -> tuple[str, str]:
        """Return the document and the console."""


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    controls: tuple[str, ...]
    gate: Gate = Gate.PIPELINE
    applies_to: tuple[str, ...] = ("policyd", "github")


CATALOGUE = {
    rule.id: rule
    for rule in (
        Rule("injection.untrusted_expansion", ("OWASP-CICD-SEC-4",)),
        Rule("dependencies.unpinned_component", ("OWASP-CICD-SEC-3", "SLSA-BUILD-L1")),
        Rule("hygiene.timeout", ("OWASP-CICD-SEC-7",)),
        Rule("credentials.secret_in_log", ("OWASP-CICD-SEC-6",)),
    )
}


@pytest.fixture
def make_report(
    make_decision: Callable[..., Decision], injection: Violation, unpinned: Violation, timeout: Violation
) -> Callable[[str], AuditReport]:
    """A report in which every foreign text is the one given, or an ordinary one."""

    def make(evil: str = "") -> AuditReport:
        frameworks = [
            read_framework(name, (FRAMEWORKS / name).read_bytes())
            for name in ("owasp-cicd-sec.json", "slsa-build-v1.2.json")
        ]
        rules = ("credentials.secret_in_log", *make_decision().rules)
        broken = injection.model_copy(update={"message": injection.message + evil})
        waived = unpinned.model_copy(update={"effect": Effect.WAIVED, "waiver": f"legacy-runner-2026{evil}"})
        decisions = [
            DecisionMade(make_decision(rules=rules, violations=(broken, waived, timeout)), "github"),
            DecisionMade(make_decision(Verdict.ALLOW, rules=rules, subject=f"pipeline.yaml{evil}"), "policyd"),
        ]
        run = RunEvidence(
            run_id="0123456789abcdef" * 2,
            pipeline=f"python-package{evil}",
            state="succeeded",
            started_at="2026-11-23T12:00:00Z",
            governance="operator",
            builder_id=f"https://example.org/builders/local/bwrap{evil}",
            manifest_sha256="d" * 64,
            manifest_verified=True,
            decisions_listed=6,
            decisions_verified=6,
            products=2,
            products_with_provenance=2,
            summaries_verified=2,
            stages_run=5,
            sandbox_modes=("bwrap",),
            builder_max_level=1,
            record_verified=True,
        )
        interrupted = run.model_copy(update={"run_id": "1" * 32, "state": "interrupted", "manifest_verified": False})
        return assess_repository(
            frameworks,
            CATALOGUE,
            decisions,
            [run, interrupted],
            repository=f"/srv/projects/demo{evil}",
            generated_at="2026-11-23T13:00:00Z",
            version="0.1.0",
            governance="self" if evil else "operator",
            unreadable=[UnreadablePipeline(path=f"odd.yml{evil}", cause=f"a key{evil} stands twice")] if evil else [],
        )

    return make


def test_text(make_report: Callable[..., AuditReport], golden: Callable[[str, str], None]) -> None:
    golden("audit.txt", render_audit(make_report()))


def test_text_is_safe(make_report: Callable[..., AuditReport]) -> None:
    text = render_audit(make_report(EVIL))

    assert "\x1b" not in text
    assert "\u202e" not in text


def test_json(make_report: Callable[..., AuditReport], golden: Callable[[str, str], None]) -> None:
    written = render_audit_json(make_report())

    golden("audit.json", written)
    summary = json.loads(written)["frameworks"][0]["summary"]
    assert sum(summary.values()) == 10
    assert summary["not_met"] > 0


def test_json_keeps_foreign_text_as_it_is_and_shows_none(make_report: Callable[..., AuditReport]) -> None:
    written = render_audit_json(make_report(EVIL))

    assert written.isascii()
    assert "\x1b" not in written
    assert json.loads(written)["repository"] == f"/srv/projects/demo{EVIL}"


def test_page(make_report: Callable[..., AuditReport], golden: Callable[[str, str], None]) -> None:
    golden("audit.html", render_audit_html(make_report()))


class Elements(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


@pytest.mark.parametrize("evil", ["", EVIL])
def test_the_page_has_nothing_that_runs_or_loads(make_report: Callable[..., AuditReport], evil: str) -> None:
    elements = Elements()

    elements.feed(render_audit_html(make_report(evil)))

    assert not {"script", "img", "iframe", "link", "object", "form", "base"} & set(elements.tags)
    for name, value in elements.attributes:
        assert name not in ("src", "style", "srcset", "action")
        assert not name.startswith("on")
        assert name != "href" or value.startswith(("https://", "#"))
    ids = [value for name, value in elements.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    targets = {value for name, value in elements.attributes if name == "href" and value.startswith("#")}
    assert targets <= {f"#{id_}" for id_ in ids}


def test_the_page_shows_hidden_characters(make_report: Callable[..., AuditReport]) -> None:
    page = render_audit_html(make_report(EVIL))

    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "\\x1b[2J\\u202e" in page


def test_hostile_text_cannot_make_elements(make_report: Callable[..., AuditReport]) -> None:
    plain, hostile = Elements(), Elements()

    plain.feed(render_audit_html(make_report(" harmless")))
    hostile.feed(render_audit_html(make_report(EVIL)))

    assert hostile.tags == plain.tags
    assert [name for name, _ in hostile.attributes] == [name for name, _ in plain.attributes]


def test_the_policy_allows_this_style_and_nothing_else(make_report: Callable[..., AuditReport]) -> None:
    page = render_audit_html(make_report())

    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    digest = b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].replace("&#x27;", "'") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_a_link_that_is_not_https_is_text(make_report: Callable[..., AuditReport]) -> None:
    report = make_report()
    control = report.frameworks[0].controls[0]
    # Past the model on purpose: the renderer holds alone.
    evil = control.model_copy(update={"control": control.control.model_copy(update={"url": "javascript:alert(1)"})})
    framework = report.frameworks[0].model_copy(update={"controls": (evil,)})

    assert "javascript:" not in render_audit_html(report.model_copy(update={"frameworks": (framework,)}))


def test_a_real_browser_shows_hostile_text_as_text_and_has_nothing_to_complain_about(
    make_report: Callable[..., AuditReport], chromium: Browser, tmp_path: Path
) -> None:
    """Twice: the page as it is, and the page with a script let in, which the policy alone has to stop."""
    page = tmp_path / "audit.html"
    page.write_text(render_audit_html(make_report(EVIL)), encoding="utf-8")

    document, console = chromium.show(page)

    assert console == ""
    assert "<script" not in document
    assert "<img" not in document
    assert "<title>Pipeline audit of /srv/projects/demo" in document

    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(
        page.read_text(encoding="utf-8").replace("<main>", "<script>document.title='owned'</script><main>"),
        encoding="utf-8",
    )

    document, console = chromium.show(spoilt)

    assert "Content Security Policy" in console
    assert "<title>owned</title>" not in document
