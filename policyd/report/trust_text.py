"""Trust policies as people read them: who may do what, until when, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from policyd.models.base import rfc3339
from policyd.models.trust import TrustPolicy
from policyd.report.layout import Look, Style, count, plain
from policyd.report.text import show

_LABEL = 10


class SignerText(Protocol):
    """What is said of one key or identity of a role."""

    @property
    def person(self) -> str:
        """Whose it is."""

    @property
    def name(self) -> str:
        """The key's fingerprint, or the identity."""

    @property
    def kind(self) -> str:
        """What it is."""

    @property
    def problem(self) -> str | None:
        """Why it does not count now."""

    @property
    def ends(self) -> datetime | None:
        """When it stops to count."""


class RemarkText(Protocol):
    """Something that is wrong."""

    @property
    def weight(self) -> str:
        """`error` or `warning`."""

    @property
    def where(self) -> str:
        """The field."""

    @property
    def cause(self) -> str:
        """What is wrong."""

    @property
    def fix(self) -> str:
        """What to do."""


def render_trust_policy(
    trust: TrustPolicy,
    signers: Mapping[str, Sequence[SignerText]],
    *,
    sha256: str,
    source: str,
    signatures: int,
    pinned: bool,
    style: Style = plain,
) -> str:
    """Return who may do what under `trust`; ends in a newline."""
    lines = [
        style("strong", f"{show(trust.name)}, version {trust.version}")
        + (", pinned" if pinned else ", not pinned here"),
        _fact("file", show(source)),
        _fact("digest", f"sha256:{sha256}"),
        _fact("signatures", str(signatures) if signatures else "none: pinned by its digest alone"),
        _fact("expires", "never" if trust.expires_at is None else rfc3339(trust.expires_at)),
    ]
    for role, policy in trust.roles.items():
        lines += ["", style("strong", role.value) + (f", {policy.threshold} persons" if policy.threshold > 1 else "")]
        for one in signers[role.value]:
            look: Look = "bad" if one.problem else "good"
            state = show(one.problem) if one.problem else "counts"
            until = f" until {rfc3339(one.ends)}" if one.ends is not None and not one.problem else ""
            lines.append(f"  {show(one.person)}  {show(one.name)}  {one.kind}  {style(look, state)}{until}")
        lines.append(f"  may sign {', '.join(show(kind) for kind in policy.predicate_types)}")
        if policy.algorithms is not None:
            lines.append(f"  with {', '.join(policy.algorithms)}")
        if policy.witnesses is not None:
            lines.append(f"  must have {', '.join(policy.witnesses)}")
    lines += ["", style("strong", "and")]
    lines += [f"  builder {show(one.id)} up to SLSA Build level {one.max_level}" for one in trust.builders]
    lines += [f"  verifier {show(one.id)}" for one in trust.verifiers]
    lines += [f"  policy set sha256:{one}" for one in trust.policy_sets]
    lines += [f"  timestamp authority {one.name}" for one in trust.timestamp_authorities]
    lines += [f"  instance {one.name}" for one in trust.instances]
    if trust.algorithms is not None:
        lines.append(f"  keys of the kinds {', '.join(trust.algorithms)}")
    lines.append(f"  bundles from {trust.min_bundle_version} on")
    return "\n".join(lines) + "\n"


def render_remarks(remarks: Sequence[RemarkText], *, style: Style = plain) -> str:
    """Return what is wrong, a remark after the other, with how many there are; ends in a newline."""
    if not remarks:
        return "nothing is wrong\n"
    lines = []
    for remark in remarks:
        look: Look = "bad" if remark.weight == "error" else "warn"
        lines += [
            f"{style(look, remark.weight)}  {show(remark.where)}: {show(remark.cause)}",
            f"  to do: {show(remark.fix)}",
        ]
    errors = sum(remark.weight == "error" for remark in remarks)
    lines.append(f"{count(errors, 'error')}, {count(len(remarks) - errors, 'warning')}")
    return "\n".join(lines) + "\n"


def render_changes(changes: Sequence[str], *, style: Style = plain) -> str:
    """Return what a version changes, one line each; ends in a newline."""
    looks: dict[str, Look] = {"+": "good", "-": "bad"}
    lines = []
    for change in changes or ("nothing but the version",):
        sign = next((sign for sign in looks if change.startswith(f"{sign} ") or f": {sign} " in change), None)
        lines.append("  " + (style(looks[sign], show(change)) if sign else show(change)))
    return "\n".join(lines) + "\n"


def _fact(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}  {text}"
