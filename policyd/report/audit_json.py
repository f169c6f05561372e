"""An audit as machines read it: `policyd.audit/v1`. Fields are only ever added."""

from __future__ import annotations

from policyd.compliance.models import AuditReport, Status
from policyd.report.json_text import render_json

SCHEMA = "policyd.audit/v1"


def render_audit_json(report: AuditReport) -> str:
    """Return the audit as JSON text, with a count of each status for every framework."""
    document = report.model_dump(mode="json", exclude={"policyd"})
    for framework, written in zip(report.frameworks, document["frameworks"], strict=True):
        written["summary"] = {status.value: framework.count(status) for status in Status}
    return render_json({"schema": SCHEMA, **document})
