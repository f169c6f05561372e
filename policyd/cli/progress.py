"""How a run is shown while it goes: live on a terminal, plain lines elsewhere. All of it on stderr."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from policyd.models.decision import Decision, Effect, WaiverState
from policyd.models.manifest import Manifest, StageRecord, StageState
from policyd.models.plan import Plan, PlannedStage
from policyd.report.layout import count
from policyd.report.text import show, stage_line
from policyd.report.waiver_text import note_lines, waiver_words

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from policyd.app.preparing import Prepared
    from policyd.app.release import Released

#: Lines of a failed stage's output repeated at the end; `policyd logs` has all.
TAIL_LINES = 20
_MAX_PENDING = 64 * 1024  # of a line without an end


class Lines:
    """Cuts a stage's output into lines, as they come in chunks."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._pending = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that `chunk` completes."""
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        if len(self._pending) > _MAX_PENDING:
            lines.append(self._pending)
            self._pending = b""
        return lines

    def rest(self) -> list[bytes]:
        """Return what came after the last line end."""
        rest, self._pending = self._pending, b""
        return [rest] if rest else []


@contextmanager
def _listened_to() -> Iterator[None]:
    """Go on where whoever read stderr went away: the record has what happens in the run."""
    try:
        yield
    except OSError:
        # Python flushes stderr once more in the end, and a failure there would become the exit code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class PlainProgress:
    """One line for everything that happens, with the stages' own output between, prefixed."""

    def __init__(self) -> None:
        """Write to stderr."""
        self._lines: dict[str, Lines] = {}

    def __enter__(self) -> Self:
        """Begin; nothing to set up."""
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End; nothing to put back."""

    def on_interrupted(self, run_id: str) -> None:
        """An earlier run had died."""
        self.say(f"earlier   run {run_id} had died: recorded as interrupted")

    def on_planned(self, prepared: Prepared) -> None:
        """The plan is made and judged."""
        self.say(f"plan      sha256:{prepared.plan.sha256}")
        self.say(f"check     {prepared.decision.verdict.value}: {count(len(prepared.decision.rules), 'rule')} asked")
        self._say_waivers(prepared.decision)

    def on_tool(self, name: str) -> None:
        """A tool is about to be fetched."""
        self.say(f"tool      {show(name)}: fetching what its lock file names, once")

    def on_run_started(self, run_id: str, plan: Plan) -> None:
        """The run is in the record."""
        self.say(f"run       {run_id}: {count(len(plan.stages), 'stage')}")

    def on_stage_started(self, stage: PlannedStage) -> None:
        """A stage was admitted and starts."""
        self.say(f"start     {stage.name}")

    def on_output(self, stage: str, chunk: bytes) -> None:
        """A stage wrote something."""
        lines = self._lines.setdefault(stage, Lines()).feed(chunk)
        if lines:
            # At once: a write for each line would hold up a stage that prints many.
            self.say("\n".join(stage_line(stage, line) for line in lines))

    def on_stage_ended(self, record: StageRecord, decision: Decision | None) -> None:
        """A stage ended."""
        if decision is not None:
            self._say_waivers(decision)
        for line in self._lines.pop(record.name, Lines()).rest():
            self.say(stage_line(record.name, line))
        because = f": {show(record.reason)}" if record.reason else ""
        self.say(f"{record.state.value:<10}{record.name}{because}")

    def on_stage_skipped(self, record: StageRecord) -> None:
        """A stage will not start."""
        self.say(f"skipped   {record.name}: {show(record.reason)}")

    def on_manifest(self, manifest: Manifest) -> None:
        """The manifest is signed and in the record."""
        attestations, decisions = len(manifest.attestations), len(manifest.decisions)
        self.say(f"manifest  signed, {count(attestations, 'attestation')}, {count(decisions, 'decision')}")

    def on_released(self, released: Released) -> None:
        """The release gate has answered."""
        said = released.decision.verdict.value if released.decision else f"refused: {show(released.reason)}"
        self.say(f"release   {show(released.name)} to {released.target}: {said}")
        if released.decision is not None:
            self._say_waivers(released.decision)

    def _say_waivers(self, decision: Decision) -> None:
        for violation in decision.violations:
            if violation.effect is Effect.WAIVED:
                self.say(f"waived    {violation.rule}: {show(waiver_words(violation, decision))}")
        for note in decision.waivers:
            if note.state is not WaiverState.USED or note.expires_soon:
                self.say("\n".join(note_lines(note)))

    def say(self, text: str) -> None:
        """Write one line."""
        with _listened_to():
            click.echo(text, err=True)


class LiveProgress(PlainProgress):
    """A line a stage that shows what it is doing; what a failed stage printed last follows."""

    def __init__(self) -> None:
        """Draw on stderr."""
        super().__init__()
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._tails: dict[str, deque[bytes]] = {}
        self._tasks: dict[str, TaskID] = {}
        # Nothing a stage writes is ever markup.
        self._console = Console(stderr=True, markup=False, highlight=False, emoji=False)
        self._progress: Progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[state]:<9}", markup=False),
            TextColumn("{task.description:<20}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[last]}", markup=False),
            console=self._console,
        )

    def __enter__(self) -> Self:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop drawing and leave the terminal as it was."""
        self._progress.stop()

    def on_stage_started(self, stage: PlannedStage) -> None:
        """Add the stage's line."""
        self._tails[stage.name] = deque(maxlen=TAIL_LINES)
        self._tasks[stage.name] = self._progress.add_task(stage.name, total=1, state="running", last="")

    def on_output(self, stage: str, chunk: bytes) -> None:
        """Show the last line on the stage's own."""
        for line in self._lines.setdefault(stage, Lines()).feed(chunk):
            self._tails[stage].append(line)
            width = max(10, self._console.width - 45)
            self._progress.update(self._tasks[stage], last=show(line.decode(errors="replace"), width=width))

    def on_stage_ended(self, record: StageRecord, decision: Decision | None) -> None:
        """End the stage's line; repeat the end of a failed stage's output."""
        task = self._tasks.get(record.name)
        if task is None:
            super().on_stage_ended(record, decision)
            return
        rest = self._lines.pop(record.name, Lines()).rest()
        self._progress.update(task, completed=1, state=record.state.value, last=show(record.reason))
        if record.state is not StageState.SUCCEEDED:
            for line in [*self._tails[record.name], *rest][-TAIL_LINES:]:
                self.say(stage_line(record.name, line))

    def say(self, text: str) -> None:
        """Write one line above the live ones."""
        from rich.text import Text

        with _listened_to():
            self._progress.console.print(Text(text), soft_wrap=True)


def open_progress() -> PlainProgress:
    """Return the live display on a terminal that can show it, plain lines elsewhere."""
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("CI"):
        return LiveProgress()
    return PlainProgress()
