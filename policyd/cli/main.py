"""The root command: finds subcommands when they are called, turns errors into words and exit codes."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from policyd.cli.groups import CommandGroup
from policyd.errors import ExitCode, PolicydError, UsageError

# Packages installed beside policyd must not hook into how documents are validated; and looking for them takes 10 ms.
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"

#: Commands in the order a newcomer meets them, below what they are for. Each is a module of its name under policyd.cli,
#: imported when it is called, because start-up time is part of the interface.
SECTIONS = {
    "From the pipeline to the target": ["init", "check", "plan", "run", "verify"],
    "What was decided and done": ["runs", "show", "logs", "record", "audit"],
    "Rules, exceptions, trust": ["policy", "waiver", "trust"],
    "Keys, signatures, evidence": ["key", "keygen", "sign", "attest", "evidence"],
    "This machine": ["doctor", "demo", "schema", "completion"],
}
COMMANDS = tuple(name for names in SECTIONS.values() for name in names)

EXIT_CODES = """\b
Exit codes:
  0   allowed, verified, done
  1   judged and refused; a signature, identity or threshold check failed
  2   the request can't be used: option, settings, path, a named file that doesn't parse
  3   undecided: something could not be judged (a rule error, a timeout, evidence missing)
  4   nothing was evaluated
  5   an approved run had a failing stage
  6   waiting for an approval
  70  a fault in policyd
Only 0 lets anything through."""


#: Objects between two rounds of the collector. A command ends soon, and most of what it makes stays until then: to walk
#: it every 700 objects, as Python does by default, takes a fifth of a check.
_COLLECT_AFTER = 100_000


class LazyGroup(CommandGroup):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order a newcomer meets them."""
        return list(COMMANDS)

    def sections(self, ctx: click.Context) -> Mapping[str, Sequence[str]]:
        """Return the commands below what they are for."""
        return SECTIONS

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Return the command called `name`, or None."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"policyd.cli.{name}")
        command: click.Command = getattr(module, f"{name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where there is none of that name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else " `policyd --help` lists the commands."
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from policyd.app.version import describe_version

    click.echo(describe_version())
    ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show versions and exit.",
)
def main() -> None:
    """Check a pipeline against policy, run what was approved, prove what came out."""


def render_error(error: PolicydError) -> str:
    """Return what the user reads of an error: what went wrong, where, what to do."""
    from policyd.report.text import show

    lines = [f"error: {show(error.cause)}"]
    if error.where:
        lines.append(f"  where: {show(error.where)}")
    if error.fix:
        lines.append(f"  to do: {show(error.fix)}")
    return "\n".join(lines)


def render_usage(error: click.ClickException) -> str:
    """Return what the user reads of a command line that can't be used, in the form of every other error."""
    context = getattr(error, "ctx", None)
    called = context.command_path if context else "policyd"
    usage = " ".join(context.command.collect_usage_pieces(context)) if context else ""
    cause = " ".join(error.format_message().split())
    return render_error(
        UsageError(cause, where=f"{called} {usage}".rstrip(), fix=f"`{called} --help` says how it is used")
    )


def run(args: list[str] | None = None) -> Any:
    """Run policyd and exit with the code of README.md's table. The outermost loop: nothing passes it unexplained."""
    gc.set_threshold(_COLLECT_AFTER)
    if os.environ.get("NO_COLOR"):  # click does not look
        colour: bool | None = False
    else:
        colour = None
    try:
        code = main.main(args=args, prog_name="policyd", standalone_mode=False, color=colour)
        sys.exit(code if isinstance(code, int) else ExitCode.OK)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except click.ClickException as error:
        click.echo(render_usage(error), err=True)
        sys.exit(ExitCode.USAGE)
    except PolicydError as error:
        click.echo(render_error(error), err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # The reader of stdout went away: not an answer anybody has read.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.UNDECIDED)
    except Exception as error:
        if os.environ.get("POLICYD_DEBUG"):
            import traceback

            traceback.print_exc()
        from policyd.report.text import show

        click.echo(
            f"error: policyd failed: {type(error).__name__}: {show(str(error))}\n"
            "  to do: set POLICYD_DEBUG=1 and run it again to see where; please report it (SECURITY.md)",
            err=True,
        )
        sys.exit(ExitCode.FAULT)
