"""`policyd check`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from policyd.cli.options import (
    engine_option,
    format_option,
    password_from_environment_or_prompt,
    read_time,
    settings_option,
    terminal_style,
)

if TYPE_CHECKING:
    from policyd.app.check import Checked
    from policyd.report.layout import Style


@click.command("check")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@format_option("text", "json", "sarif", "junit", "gitlab", "markdown", "github")
@click.option(
    "--fail-on",
    type=click.Choice(["critical", "high", "medium", "low", "info"]),
    help="Also deny violations from this severity on. Only ever stricter.",
)
@click.option(
    "--baseline",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Violations listed here are known and don't deny. Only `check` reads it.",
)
@click.option(
    "--write-baseline",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what denies now as a baseline. The answer stays the same.",
)
@click.option(
    "--effective-time",
    metavar="TIME",
    callback=read_time,
    help="Judge as of another time (RFC 3339, or a date at 00:00 UTC). The decision says so, and is never signed.",
)
@click.option(
    "--record",
    is_flag=True,
    help="Sign each decision and write it to the operator's record, for `policyd policy replay`.",
)
@click.option(
    "--persona",
    type=click.Choice(["regular", "pedantic", "auditor"]),
    default="regular",
    show_default=True,
    help="Who reads: leaves out small or doubtful warnings, fewer of them, or none. All is evaluated, and what denies"
    " is always shown. JSON and JUnit hold everything.",
)
@click.option(
    "--cache/--no-cache",
    default=True,
    envvar="POLICYD_CACHE",
    show_envvar=True,
    help="Keep what rules found in the user's cache folder, and take it from there where nothing has changed. Never"
    " used with --record.",
)
@engine_option
@settings_option
def check_command(
    paths: tuple[Path, ...],
    output_format: str,
    fail_on: str | None,
    baseline: Path | None,
    write_baseline: Path | None,
    effective_time: datetime | None,
    record: bool,
    persona: str,
    cache: bool,
    engine: str | None,
    settings: Path | None,
) -> int:
    """Judge pipelines: policyd's own, and those of GitHub, GitLab, Azure and Tekton.

    PATH is a file or a folder to search; the current folder when there is none. Says for each broken rule where it
    is broken, why that matters and what to do. Runs nothing.
    """
    from policyd.adapters import clock
    from policyd.adapters.stores.check_cache import default_folder
    from policyd.app.check_again import look_back
    from policyd.report.layout import plain

    paths, now = paths or (Path("."),), clock.now()
    style, width = terminal_style()
    earlier = None
    otherwise = record or effective_time or baseline or write_baseline or engine not in (None, "embedded")
    # JSON says when it was decided.
    if cache and output_format != "json" and not otherwise:
        asked = (output_format, fail_on, persona, style is plain, width)
        earlier = look_back(default_folder(), paths, settings=settings, asked=asked)
    if earlier is not None and (known := earlier.find(now=now)) is not None:
        output, exit_code = known
        click.echo(output, nl=False)
        return exit_code

    # Imported here: who was answered needs nothing of what judges.
    from policyd.app.check import check
    from policyd.models.decision import Severity

    checked = check(
        paths,
        settings=settings,
        engine=engine,
        fail_on=Severity(fail_on) if fail_on else None,
        now=now,
        effective_time=effective_time,
        baseline=baseline,
        write_baseline=write_baseline,
        record=(lambda: password_from_environment_or_prompt("Passphrase of the runner's keys")) if record else None,
        cache=default_folder() if cache else None,
        sources=earlier.sources if earlier is not None else None,
    )
    output, exit_code = _render(checked, output_format, persona, style, width), int(checked.exit_code)
    if earlier is not None and checked.follows is not None:
        earlier.keep(checked.follows, output, exit_code)
    click.echo(output, nl=False)
    return exit_code


def _render(checked: Checked, output_format: str, persona: str, style: Style, width: int) -> str:
    """Return the answer in `output_format`; each renderer is imported where it is asked for."""
    from policyd import __version__
    from policyd.report.findings import told_once
    from policyd.report.personas import Persona, shown_to

    rules = checked.catalogue
    findings = shown_to(told_once(checked.findings), Persona(persona))
    match output_format:
        case "json":
            from policyd.report.decision_json import render_check_json

            return render_check_json(checked.findings, rules)
        case "junit":
            from policyd.report.check_junit import render_check_junit

            return render_check_junit(checked.findings)
        case "sarif":
            from policyd.report.sarif import render_sarif

            return render_sarif(findings, rules, version=__version__)
        case "gitlab":
            from policyd.report.code_quality import render_code_quality

            return render_code_quality(findings)
        case "markdown":
            from policyd.report.check_markdown import render_check_markdown

            return render_check_markdown(findings, rules)
        case "github":
            from policyd.report.annotations import render_annotations

            return render_annotations(findings)
        case _:
            from policyd.report.decision_text import render_check

            return render_check(findings, rules, style=style, width=width)
