"""An audit as one HTML page that stands alone: no script, nothing fetched, everything escaped.

The content security policy allows nothing but the page's own style, by its digest. So even a mistake in escaping could
not run or load anything. Every text goes through `_text` (`policyd.report.text.show`, then HTML), every link through
`_link`.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable

from policyd.compliance.models import AuditReport, ControlStatus, Evidence, FrameworkStatus, RunEvidence, Status
from policyd.report.audit_style import STYLE
from policyd.report.audit_text import STATUS_WORDS, STATUSES, listed_evidence, run_words
from policyd.report.layout import count, short
from policyd.report.text import show

#: Said before the word, for eyes that scan; hidden from screen readers, which read the word.
_SIGNS = {Status.MET: "✓", Status.NOT_MET: "✕", Status.WAIVED: "≈", Status.NOT_TESTED: "?"}
#: More of one kind in one control are counted, not listed: the page is for reading, the JSON has them all.
MAX_LISTED = 12
_LEGEND = {
    Status.MET: "Everything the control requires was looked at and holds.",
    Status.NOT_MET: "Something that was looked at speaks against it. Warnings count as much as denials.",
    Status.WAIVED: "It is broken, and a signed, dated waiver permits that.",
    Status.NOT_TESTED: "Something it requires was not there to look at, could not be judged, or is outside of what "
    "policyd sees. It may be met or not.",
}


def render_audit_html(report: AuditReport) -> str:
    """Return the page as text; write it as UTF-8."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    body = [
        _header(report),
        "<main>",
        _cards(report.frameworks),
        *(_framework(framework) for framework in report.frameworks),
        _pipelines(report),
        _runs(report),
        "</main>",
        _footer(report),
    ]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">',
            '<meta name="referrer" content="no-referrer">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Pipeline audit of {_text(report.repository)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def _text(text: str) -> str:
    return html.escape(show(text), quote=True)


def _link(url: str, text: str) -> str:
    if not url.startswith("https://"):
        return _text(text)
    return f'<a href="{_text(url)}" rel="noopener noreferrer">{_text(text)}</a>'


def _digest(sha256: str | None, title: str = "SHA-256") -> str:
    return "" if sha256 is None else f'<code title="{_text(title)} {_text(sha256)}">{_text(short(sha256))}</code>'


def _header(report: AuditReport) -> str:
    sets = [f"{_text(one.name)} <code>{_text(one.sha256)}</code>" for one in report.policy_sets]
    facts = [
        ("Generated", f'<time datetime="{_text(report.generated_at)}">{_text(report.generated_at)}</time>'),
        ("Policy set", ", ".join(sets) or "none was asked"),
        ("Governance", _text(report.governance)),
        ("Looked at", _text(_scope(report))),
    ]
    notice = ""
    if report.governance == "self":
        notice = (
            '<p class="notice">There were no operator settings: this repository was judged by the rules that come '
            "with policyd, and nobody outside of it vouches for keys, builder or policy.</p>"
        )
    rows = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
    return (
        f'<header>\n<h1>Pipeline audit</h1>\n<p class="soft">{_text(report.repository)}</p>\n'
        f'<dl class="facts">{rows}</dl>\n{notice}\n</header>'
    )


def _scope(report: AuditReport) -> str:
    parts = [count(len(report.pipelines), "pipeline") + " judged"]
    if report.unreadable:
        parts.append(f"{len(report.unreadable)} unreadable")
    parts.append(count(len(report.runs), "run") + " considered")
    if report.runs_left_out:
        parts.append(f"{report.runs_left_out} older or unfinished left out")
    return ", ".join(parts)


def _cards(frameworks: Iterable[FrameworkStatus]) -> str:
    cards = "\n".join(_card(framework) for framework in frameworks)
    return f'<section class="cards" aria-label="Summary">\n{cards}\n</section>'


def _card(framework: FrameworkStatus) -> str:
    counts = [(status, framework.count(status)) for status in STATUSES]
    words = ", ".join(f"{number} {STATUS_WORDS[status]}" for status, number in counts)
    items = "".join(f"<li><b>{number}</b> {STATUS_WORDS[status]}</li>" for status, number in counts)
    bars, x = [], 0
    for status, number in counts:
        if number:
            bars.append(f'<rect class="bar-{status}" x="{x}" y="0" width="{number * 100 - 6}" height="10"/>')
            x += number * 100
    # A drawing scaled to the card: its style may not come from style attributes, which the policy forbids.
    drawing = (
        f'<svg viewBox="0 0 {max(x - 6, 1)} 10" preserveAspectRatio="none" role="img" aria-label="{words}">'
        f"{''.join(bars)}</svg>"
    )
    anchor = f"framework-{_text(framework.id)}"
    return (
        f'<article class="card"><h3><a href="#{anchor}">{_text(framework.title)}</a> '
        f'<span class="soft">{_text(framework.version)}</span></h3>{drawing}<ul class="counts">{items}</ul></article>'
    )


def _framework(framework: FrameworkStatus) -> str:
    rows = "\n".join(_control(status) for status in framework.controls)
    anchor = f"framework-{_text(framework.id)}"
    return (
        f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{_text(framework.title)} '
        f'<span class="soft">{_text(framework.version)}</span></h2>\n'
        f'<p class="soft">{_link(framework.url, framework.url)}</p>\n'
        '<div class="framed"><table class="controls">\n<thead><tr><th scope="col" class="status">Status</th>'
        '<th scope="col" class="control">Control</th><th scope="col">Why, and what was seen</th></tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>\n</section>"
    )


def _control(status: ControlStatus) -> str:
    control = status.control
    parts = []
    if status.reasons:
        parts.append(_list("Why", [_text(reason) for reason in status.reasons]))
    if seen := listed_evidence(status):
        parts.append(_list("Seen", [_evidence(evidence) for evidence in seen]))
    if control.not_covered and control.not_covered not in status.reasons:
        parts.append(_list("Not seen by policyd", [_text(control.not_covered)]))
    return (
        f'<tr id="{_text(control.id)}"><td class="status">{_badge(status.status)}</td>'
        f'<th scope="row" class="control"><span class="id">{_text(control.id)}</span>'
        f'<span class="title">{_link(control.url, control.title)}</span>'
        f"<p>{_text(control.description)}</p></th><td>{''.join(parts)}</td></tr>"
    )


def _badge(status: Status) -> str:
    return (
        f'<span class="badge badge-{status}"><span aria-hidden="true">{_SIGNS[status]}</span> '
        f"{STATUS_WORDS[status]}</span>"
    )


def _list(title: str, items: list[str]) -> str:
    shown = items[:MAX_LISTED]
    if len(items) > MAX_LISTED:
        shown.append(f"and {len(items) - MAX_LISTED} more, in the JSON report")
    listed = "".join(f"<li>{item}</li>" for item in shown)
    return f'<p class="label">{title}</p><ul>{listed}</ul>'


def _evidence(evidence: Evidence) -> str:
    return f"{_text(evidence.about)}: {_text(evidence.text)} {_digest(evidence.sha256)}".rstrip()


def _pipelines(report: AuditReport) -> str:
    rows = [
        f'<tr><th scope="row"><code>{_text(one.path)}</code></th><td>{_text(one.verdict.replace("_", " "))}</td>'
        f'<td class="number">{one.rules}</td>'
        f'<td class="number">{one.deny} deny, {one.warn} warn, {one.waived} waived</td>'
        f"<td>{_digest(one.input_sha256, 'input SHA-256')}</td></tr>"
        for one in report.pipelines
    ]
    rows += [
        f'<tr><th scope="row"><code>{_text(one.path)}</code></th><td>unreadable</td>'
        f'<td colspan="3">{_text(one.cause)}</td></tr>'
        for one in report.unreadable
    ]
    columns = ("Pipeline", "Verdict", "Rules asked", "Violations", "Input")
    return _table("pipelines", "Pipelines judged", columns, rows, "No pipeline was found.")


def _runs(report: AuditReport) -> str:
    rows = [_run(run) for run in report.runs]
    columns = ("Run", "Pipeline", "State", "Started", "Found", "Manifest")
    return _table("runs", "Runs considered", columns, rows, "No finished run was found in the store.")


def _run(run: RunEvidence) -> str:
    return (
        f'<tr><th scope="row"><code>{_text(run.run_id)}</code></th><td>{_text(run.pipeline)}</td>'
        f'<td>{_text(run.state)}</td><td><time datetime="{_text(run.started_at)}">{_text(run.started_at)}</time></td>'
        f"<td>{_text(run_words(run))}; built by {_text(run.builder_id)}</td>"
        f"<td>{_digest(run.manifest_sha256, 'manifest SHA-256') or 'none'}</td></tr>"
    )


def _table(anchor: str, title: str, columns: Iterable[str], rows: list[str], nothing: str) -> str:
    head = "".join(f'<th scope="col">{column}</th>' for column in columns)
    inside = (
        f'<div class="framed"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody>\n'
        "</table></div>"
        if rows
        else f'<p class="soft">{nothing}</p>'
    )
    return f'<section aria-labelledby="{anchor}">\n<h2 id="{anchor}">{title}</h2>\n{inside}\n</section>'


def _footer(report: AuditReport) -> str:
    legend = "".join(f"<dt>{_badge(status)}</dt><dd>{_LEGEND[status]}</dd>" for status in STATUSES)
    return (
        '<footer>\n<h2 id="legend">How a status is concluded</h2>\n'
        '<p class="soft">The worst that was found wins. Nothing is met because nothing was looked at.</p>\n'
        f'<dl>{legend}</dl>\n<p class="soft">policyd {_text(report.version)}</p>\n</footer>'
    )
