"""`policyd policy settings` and `policyd policy list`: what can be set, and what is asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from policyd.cli.options import format_option, settings_option, terminal_style


@click.command("settings")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@format_option("text", "json")
@settings_option
def settings_command(path: Path | None, output_format: str, settings: Path | None) -> int:
    """Print every setting of rules: its value here, its default, and where the value comes from.

    Without PATH, the settings of all layers of policy that judge the project here: the organisation's, its teams' and
    the project's. PATH is a policy folder or bundle, which is then looked at alone.
    """
    from policyd.app.policy_settings import list_settings
    from policyd.report.json_text import render_json
    from policyd.report.policy_lists import render_settings

    found = list_settings(path, settings=settings)
    if output_format == "json":
        listed = [dataclasses.asdict(one) for one in found]
        click.echo(render_json({"schema": "policyd.policy-settings/v1", "settings": listed}), nl=False)
        return 0
    style, width = terminal_style()
    click.echo(render_settings(found, style=style, width=width), nl=False)
    return 0


@click.command("list")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--collection", metavar="NAME", help="Only the rules of this collection.")
@format_option("text", "json")
@settings_option
def list_command(path: Path | None, collection: str | None, output_format: str, settings: Path | None) -> int:
    """List the rules: id, severity, level, gate, layer and title.

    Without PATH, the rules of all layers of policy that judge the project here, with the levels that apply; those that
    no gate asks say so. PATH is a policy folder or bundle, which is then looked at alone.

    Exits 0; 4 where there is no rule.
    """
    from policyd.app.policy_settings import list_rules
    from policyd.errors import ExitCode
    from policyd.report.json_text import render_json
    from policyd.report.policy_lists import render_rule_list

    found = list_rules(path, collection=collection, settings=settings)
    if output_format == "json":
        listed = [dataclasses.asdict(one) for one in found]
        click.echo(render_json({"schema": "policyd.policy-rules/v1", "rules": listed}), nl=False)
    else:
        style, _ = terminal_style()
        click.echo(render_rule_list(found, style=style), nl=False)
    return int(ExitCode.OK if found else ExitCode.NOT_EVALUATED)
