"""`policyd init`."""

from __future__ import annotations

from pathlib import Path

import click

from policyd.cli.options import password_from_environment_or_prompt


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path, exists=True, file_okay=False))
def init_command(folder: Path) -> int:
    """Set up FOLDER (the current one) and, once, your keys, trust policy and operator settings.

    Writes policyd.yaml and a starter pipeline.yaml; keys and settings go to your configuration directory. What is
    already there is left as it is.
    """
    from policyd.app.init import has_authority, initialise
    from policyd.report.text import show

    password = ""
    if not has_authority():
        password = password_from_environment_or_prompt("Passphrase for the new keys (empty for none)", confirm=True)
    done = initialise(folder, password)
    for path in done.written:
        click.echo(f"wrote    {show(str(path))}")
    for path in done.kept:
        click.echo(f"kept     {show(str(path))} (already there)")
    for what, sha256 in done.pinned:
        click.echo(f"pinned   {what}: {sha256}")
    for pipeline in done.pipelines:
        click.echo(f"found    {show(pipeline)}")
    if done.empty_passphrase:
        click.echo("note     the keys have no passphrase: whoever reads the files (mode 0600) can sign", err=True)
    if done.pipelines:
        click.echo("\nNext: `policyd check` judges the pipelines found.")
    else:
        click.echo("\nNext: `policyd run pipeline.yaml` runs the starter pipeline.")
    return 0
