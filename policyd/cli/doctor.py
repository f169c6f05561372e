"""`policyd doctor`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import format_option, settings_option, terminal_style


@click.command("doctor")
@format_option("text", "json")
@settings_option
def doctor_command(output_format: str, settings: Path | None) -> int:
    """Say what this machine has, what is missing, and how to get it.

    Exits 0 when policyd can run pipelines here, 2 when something needed is missing or broken.
    """
    from policyd.app.doctor import examine, exit_code
    from policyd.report.json_text import render_json
    from policyd.report.text import show

    findings = examine(settings)
    code = exit_code(findings)
    if output_format == "json":
        document = {"schema": "policyd.doctor/v1", "findings": [finding.to_json() for finding in findings]}
        click.echo(render_json(document), nl=False)
        return int(code)
    style, _ = terminal_style()
    looks = {"ok": "good", "note": "warn", "missing": "bad", "broken": "bad"}
    for finding in findings:
        word = style(looks[finding.state], f"{finding.state:<8}")  # type: ignore[arg-type]  # a Look by name
        click.echo(f"{word}{finding.subject:<16} {show(finding.detail)}")
        if finding.fix:
            click.echo(f"{'':<24} to do: {show(finding.fix)}")
    return int(code)
