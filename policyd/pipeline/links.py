"""What a pipeline file has to do with others of its repository, as its front end sees it from inside.

A front end reads one file and can't know who calls it. So it says what it calls and with which values, where the
values it is called with land, and which files it hands on or takes; `linking` puts the two ends together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policyd.models.facts import Guard, Sink
from policyd.pipeline.source_map import Spot


@dataclass(frozen=True, slots=True)
class Landing:
    """A parameter of this file that becomes part of something. `checkout` is the fact of the checkout it names."""

    parameter: str
    sink: Sink
    stage: str
    spot: Spot
    checkout: int = -1


@dataclass(frozen=True, slots=True)
class Argument:
    """A value given to another file. `value` is what an outsider's text begins as, "" if it is none.

    `code` says that it names code of an outsider; `parameters` are those of this file that it is made of.
    """

    callee: str
    name: str
    value: str
    code: bool
    parameters: frozenset[str]
    stage: str
    spot: Spot


@dataclass(frozen=True, slots=True)
class Call:
    """A stage that runs another file of the repository, `inside` itself or as stages of their own.

    `powers` says that an outsider who starts it gets the repository's powers with it, `secrets` and `writes` that the
    stage has, and hands on, secrets and a token that writes.
    """

    callee: str
    stage: str
    inside: bool
    untrusted: bool = False
    powers: bool = False
    secrets: bool = False
    writes: bool = False
    guards: tuple[Guard, ...] = ()
    #: Who starts it is not said: outsiders do if another file feeds it what only their events hold.
    fed: bool = False


@dataclass(frozen=True, slots=True)
class HandedFiles:
    """An artifact that a stage hands on to later runs, or takes from an earlier one. `name` is "" for any."""

    name: str
    stage: str
    spot: Spot
    upload: bool
    untrusted: bool
    powers: bool


@dataclass(frozen=True, slots=True)
class Links:
    """All that ties a file to others. Paths go from the repository's root, which `root` is the way to."""

    root: str = ""
    name: str = ""  # what others call this pipeline when they wait for it
    waits_for: tuple[str, ...] = ()  # names of the pipelines whose end starts this one
    landings: tuple[Landing, ...] = ()
    arguments: tuple[Argument, ...] = ()
    calls: tuple[Call, ...] = ()
    files: tuple[HandedFiles, ...] = ()
    #: Names of values and what they are given to: `arguments` with the first as callee go to the second, in any file.
    feeds: tuple[tuple[str, str], ...] = ()
    #: Names by which others call parts of this file, where they don't call it by path, and the stages of each.
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    #: Labels of triggers of other files that something of this file starts, and whether it proves who calls.
    starts: tuple[tuple[Mapping[str, str], bool], ...] = ()
    #: Facts of triggers whose caller nothing of this file proves, and the labels that others pick them by.
    unproved: tuple[tuple[int, Mapping[str, str]], ...] = ()


NO_LINKS = Links()
