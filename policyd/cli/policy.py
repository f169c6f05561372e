"""`policyd policy`: to write, test and change rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from policyd.cli.groups import CommandGroup
from policyd.cli.options import engine_option, format_option, settings_option, terminal_style
from policyd.cli.policy_bundle import bundle_command, sign_command
from policyd.cli.policy_diff import diff_command
from policyd.cli.policy_replay import replay_command
from policyd.cli.policy_settings import list_command, settings_command

if TYPE_CHECKING:
    from policyd.app.policy_eval import EngineName

F = TypeVar("F", bound=Callable[..., Any])


def _author_engine_option(command: F) -> F:
    """`--engine`: an author tries rules on either engine; what operator settings choose is for gates."""
    return click.option(
        "--engine",
        type=click.Choice(["embedded", "opa", "both"]),
        default="embedded",
        show_default=True,
        envvar="POLICYD_ENGINE",
        show_envvar=True,
        help="Which Rego engine answers; `opa` is started for this and never reached by a URL.",
    )(command)


@click.group("policy", cls=CommandGroup)
def policy_command() -> None:
    """Write, list, set, check, test, explain, bundle and sign rules."""


policy_command.add_command(bundle_command)
policy_command.add_command(sign_command)
policy_command.add_command(settings_command)
policy_command.add_command(list_command)
policy_command.add_command(diff_command)
policy_command.add_command(replay_command)


@policy_command.command("new")
@click.argument("family")
@click.argument("rule")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("policies"),
    show_default=True,
    help="The policy folder.",
)
@click.option(
    "--gate",
    type=click.Choice(["pipeline", "stage", "release"]),
    default="pipeline",
    show_default=True,
    help="The gate that asks the rule.",
)
@click.option(
    "--prefix",
    default="policyd",
    show_default=True,
    help="What its packages begin with: `project` for a project's own rules, `team_NAME` for a team's.",
)
def new_command(family: str, rule: str, folder: Path, gate: str, prefix: str) -> int:
    """Write a rule and its test to start from: FAMILY/RULE/RULE.rego. Overwrites nothing."""
    from policyd.app.policy_new import create_rule
    from policyd.models.decision import Gate
    from policyd.report.text import show

    for path in create_rule(family, rule, gate=Gate(gate), folder=folder, prefix=prefix):
        click.echo(f"wrote {show(str(path))}")
    click.echo(f"try: policyd policy test {show(str(folder))}")
    return 0


@policy_command.command("check")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@_author_engine_option
@settings_option
def check_command(path: Path | None, engine: EngineName, settings: Path | None) -> int:
    """Say everything that is wrong with a policy set, one line each.

    PATH is a policy folder, a part of one, or a bundle; without it, the library that comes with policyd. Looks at
    METADATA, ids, packages, tests, what rules may call and what both engines read alike; with OPA installed also at
    strict mode and at the types of the input. `--engine opa` allows what only OPA answers, and needs it.

    Exits 0 where nothing is wrong, 1 where something is, 3 where that could not be found out, 4 without rules.
    """
    from policyd.app.policy_check import check_policies
    from policyd.report.policy_text import render_problems

    checked = check_policies(path, engine=engine, settings=settings)
    style, _ = terminal_style()
    click.echo(render_problems(checked.problems, checked.notes, checked.rules, style=style), nl=False)
    return int(checked.exit_code)


@policy_command.command("test")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@_author_engine_option
@click.option("--coverage", is_flag=True, help="Count the lines of rules that tests reach (embedded engine).")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Also write JUnit XML to this file.")
@click.option("--watch", is_flag=True, help="Run again whenever a file changes, until interrupted.")
@settings_option
def test_command(
    paths: tuple[Path, ...], engine: EngineName, coverage: bool, junit: Path | None, watch: bool, settings: Path | None
) -> int:
    """Run the tests of rules: Rego rules called `test_…`, and tables in RULE_test.yaml.

    PATH is a policy folder, a part of one, or a test file; without it, the library that comes with policyd. An error
    while evaluating is never a pass. A bundle holds no tests.

    Exits 0 where all passed, 1 where one failed, 3 where one could not be judged, 4 where there was none.
    """
    if coverage and engine == "opa":
        raise click.UsageError("--coverage needs the embedded engine: use --engine embedded or both.")

    def once() -> int:
        from policyd.adapters.output import write_output
        from policyd.app.policy_test import run_tests
        from policyd.policy.coverage import total_percent
        from policyd.report.junit import render_junit
        from policyd.report.policy_text import render_tests

        tested = run_tests(paths, engine=engine, coverage=coverage, settings=settings)
        if junit is not None:
            write_output(junit, render_junit(tested.results).encode())
        style, _ = terminal_style()
        click.echo(
            render_tests(tested.results, tested.coverage, total_percent(tested.coverage or ()), style=style), nl=False
        )
        return int(tested.exit_code)

    return _watch(paths, once) if watch else once()


def _watch(paths: tuple[Path, ...], once: Callable[[], int]) -> int:
    """Run `once` now and after every change below `paths`. Ends only when interrupted."""
    from policyd.app.policy_folders import await_change, file_times
    from policyd.cli.main import render_error
    from policyd.errors import PolicydError

    while True:
        before = file_times(paths)
        try:
            once()
        except PolicydError as error:
            # A rule that does not compile is what an author in the middle of a line sees: say so, and go on.
            click.echo(render_error(error), err=True)
        await_change(paths, before)


@policy_command.command("eval")
@click.argument("query")
@_author_engine_option
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A Rego file, or a folder of them. Repeatable.",
)
@click.option("--data", type=click.Path(path_type=Path), help="JSON or YAML: what stands below `data`.")
@click.option("--input", "document", type=click.Path(path_type=Path), help="JSON or YAML: `input`.")
@format_option("json")
@settings_option
def eval_command(
    query: str,
    engine: EngineName,
    policies: tuple[Path, ...],
    data: Path | None,
    document: Path | None,
    output_format: str,
    settings: Path | None,
) -> int:
    """Evaluate QUERY and print what `opa eval` prints; no result where it is undefined.

    Policies may call what every policy may, and errors of builtins are errors. The embedded engine refuses what it
    could answer otherwise than OPA. An error or a refusal exits 3 and says why in one line.
    """
    from policyd.app.policy_eval import evaluate
    from policyd.errors import PolicydError
    from policyd.report.json_text import render_json
    from policyd.report.text import show

    try:
        answer = evaluate(query, engine=engine, policies=policies, data=data, document=document, settings=settings)
    except PolicydError as error:
        click.echo(f"error: {show(f'{error.cause} ({error.where}); to do: {error.fix}')}", err=True)
        return int(error.exit_code)
    click.echo(render_json(answer), nl=False)
    return 0


@policy_command.command("explain")
@click.argument("rule")
@click.argument("pipeline", required=False, type=click.Path(path_type=Path))
@click.option("--input", "document", type=click.Path(path_type=Path), help="The input of the rule's gate, as JSON.")
@engine_option
@settings_option
def explain_command(
    rule: str, pipeline: Path | None, document: Path | None, engine: str | None, settings: Path | None
) -> int:
    """Say what RULE is for, and what it finds in PIPELINE or in the input of its gate.

    Exits as `policyd check` does with this rule alone; 0 where nothing is given to judge.
    """
    from policyd.adapters import clock
    from policyd.app.policy_explain import explain
    from policyd.report.policy_text import render_explained, render_rule

    if pipeline is not None and document is not None:
        raise click.UsageError("Give a pipeline or --input, not both.")
    explained = explain(rule, pipeline=pipeline, document=document, engine=engine, settings=settings, now=clock.now())
    style, width = terminal_style()
    click.echo(render_rule(explained.rule, explained.reads, style=style, width=width), nl=False)
    if explained.decision is not None:
        click.echo()
        text = render_explained(
            explained.rule,
            explained.decision,
            {each.name: each.items for each in explained.looked_at},
            path=explained.path,
            content=explained.content,
            not_asked=explained.not_asked,
            named="" if pipeline is None else str(pipeline),
            key=explained.key,
            style=style,
            width=width,
        )
        click.echo(text, nl=False)
    return int(explained.exit_code)


@policy_command.command("docs")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("docs/rules"),
    show_default=True,
    help="The folder of the pages.",
)
@settings_option
def docs_command(path: Path | None, out: Path, settings: Path | None) -> int:
    """Write the rule reference: an index and a page for each rule.

    PATH is a policy folder or a bundle; without it, the library that comes with policyd.
    """
    from policyd.app.policy_docs import write_pages
    from policyd.report.text import show

    written = write_pages(out, path=path, settings=settings)
    click.echo(f"wrote {written.pages} pages to {show(str(out))}")
    for name in written.removed:
        click.echo(f"removed {show(name)}: its rule is gone")
    return 0
