"""Judging an input whose bytes are there already: what `policy diff` and `policy replay` have in common."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from policyd.adapters.library import library_files, read_policy_folder
from policyd.adapters.settings import Authority
from policyd.app.policy_sets import is_bundle
from policyd.errors import ExitCode, PolicydError, PolicyError, UsageError, worst
from policyd.models.base import rfc3339
from policyd.models.decision import Gate, Problem
from policyd.models.input import INPUT_OF_GATE
from policyd.policy.changes import Judgements, Unjudged
from policyd.policy.judged_input import find_misfit
from policyd.policy.policy_set import PolicySet, read_policy_set

#: How the policy set that comes with policyd is called on the command line; a folder of that name is `./library`.
LIBRARY = "library"
LIBRARY_NAME = "policyd-library"


def load_named_set(name: str, authority: Authority | None, *, now: datetime) -> PolicySet:
    """Return the policy set that a person names to look at: a folder or bundle, or `library`. It judges for nobody.

    A bundle may be unsigned, and its version is not remembered; one that is signed has to hold. Raises `UsageError`
    where there is no such path, `PolicyError` for a set that can't be used.
    """
    if name == LIBRARY:
        return read_policy_set(library_files(), name=LIBRARY_NAME)
    path = Path(name)
    if not path.exists():
        fix = f"name a folder or a bundle, or `{LIBRARY}` for the one that comes with policyd"
        raise UsageError("there is no such policy set", where=name, fix=fix)
    prefix = authority.settings.prefix if authority else "policyd"
    try:
        if is_bundle(path):
            from policyd.app.bundled_sets import look_at_bundle
            from policyd.policy.bundle_files import read_bundled_set

            return read_bundled_set(look_at_bundle(path.absolute(), authority, now=now), where=name, prefix=prefix)
        return read_policy_set(read_policy_folder(path), name=path.absolute().name, prefix=prefix)
    except PolicyError as error:
        where = error.where if error.where.startswith(name) else f"{name}/{error.where}"
        raise PolicyError(error.cause, where=where, fix=error.fix) from error


def with_time(content: bytes, moment: datetime) -> bytes:
    """Return the input with `moment` as the time at which it is judged."""
    document = json.loads(content or b"{}")
    document["evaluated_at"] = rfc3339(moment)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def find_dialect(gate: Gate, content: bytes) -> str | None:
    """Return the dialect of the pipeline in an input of the gate `pipeline`; None for other gates."""
    if gate is not Gate.PIPELINE:
        return None
    try:
        dialect: str = json.loads(content)["pipeline"]["dialect"]
    except (ValueError, LookupError, TypeError) as error:
        # Recorded where policyd itself had made an input that could not be judged: there is nothing to ask about.
        raise PolicyError(
            "the input is not one that rules could be asked about",
            where="input.pipeline",
            fix="judge the pipeline anew",
        ) from error
    return dialect


def find_old_misfit(gate: Gate, content: bytes, *, where: str) -> Problem | None:
    """Return why an input that was made earlier can't be given to rules of today, None where it can.

    A rule that reads what an older input does not have would be silent for the wrong reason.
    """
    fix = "it was made by another version of policyd: judge the pipeline itself anew"
    return find_misfit(INPUT_OF_GATE[gate], content, where=where, fix=fix)


def unjudged(name: str, subject: str, error: PolicydError) -> Unjudged:
    """Return what `error` says about an input that it kept from being judged."""
    return Unjudged(name, subject, error.cause, error.where, error.fix)


def exit_code_of(judgements: Judgements) -> ExitCode:
    """Return 0 where nothing changes, 1 where something does, 3 where one can't be judged, 4 where none was."""
    codes = [ExitCode.OK] if judgements.judged else []
    codes += [ExitCode.REFUSED] if judgements.changes else []
    codes += [ExitCode.UNDECIDED] if judgements.unjudged or judgements.undecided else []
    return worst(*codes)
