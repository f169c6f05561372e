"""What a decision says of its layers and waivers, turned back into them, so that it can be made again.

A recorded decision is signed, so what it says is taken as said: which rules were asked beyond a collection, what was
raised, and whose waivers counted. Signatures of waivers are not verified a second time: keys that have expired since
would change what was decided then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from policyd.attestation.waivers import ReadWaiver, VerifiedWaiver, read_waiver_file
from policyd.errors import EvidenceMissing, PolicyError
from policyd.models.base import Sha256, rfc3339
from policyd.models.decision import Decision, Gate, WaiverNote, WaiverState
from policyd.models.waiver import Site, Waiver
from policyd.policy.catalogue import Catalogue, require_known
from policyd.policy.chosen_settings import Chosen, Key
from policyd.policy.deciding import Raised
from policyd.policy.layers import Layer, Layers, Rank
from policyd.policy.policy_set import PolicySet
from policyd.policy.rule_settings import MisfitError
from policyd.policy.waivers import KnownWaivers

_RANKS = {rank.word: rank for rank in Rank}
_GONE = " is not there any more"  # how a note says that a waiver's file is gone


def recall_layers(decision: Decision, policy_sets: Sequence[PolicySet], *, instead: PolicySet | None = None) -> Layers:
    """Return the layers that made `decision`; `policy_sets` are theirs, in its order.

    With `instead`, that set stands in the place of the organisation's. What teams and the project asked of it stays,
    and so do the settings that were chosen outside the set. Raises `PolicyError` where they ask for what the new one
    does not have: a gate would then stop, too.
    """
    terms = decision.terms
    if terms is None or not decision.layers:
        raise PolicyError(
            "the decision does not say by which layers and on what terms it was made",
            where=f"decision about {decision.subject}",
            fix="an older policyd made it; judge the pipeline anew",
        )
    layers: list[Layer] = []
    settings: dict[Key, Chosen] = {}
    for said, recorded in zip(decision.layers, policy_sets, strict=True):
        rank = _RANKS[said.layer]
        chosen = _recall_settings(recorded, terms.settings, where=f"the decision about {decision.subject}")
        policy_set = recorded
        if rank is Rank.ORGANISATION and instead is not None:
            policy_set, chosen = instead, _carry_over(chosen, recorded, instead)
        settings |= chosen
        layers.append(
            Layer(
                rank=rank,
                name=said.name,
                policy_set=policy_set.with_settings(chosen),
                place=said.name,
                collection=(terms.collection or None) if rank is Rank.ORGANISATION else said.collection,
                extra=tuple(rule_id for rule_id in terms.rules if rule_id in policy_set.catalogue),
            )
        )
    catalogue = Catalogue(rule for layer in layers for rule in layer.policy_set.catalogue.values())
    require_known(terms.rules, catalogue, where="rules asked in addition when it was decided")
    require_known(terms.levels, catalogue, where="levels raised when it was decided")
    return Layers(tuple(layers), catalogue, Raised(levels=terms.levels, fail_on=terms.fail_on), settings)


def recall_site(decision: Decision, content: bytes) -> Site:
    """Return what `decision` judged in the words waivers are bound by; `content` is its input."""
    if decision.gate is Gate.RELEASE:
        return Site.of(decision)
    document = json.loads(content)
    if decision.gate is Gate.STAGE:
        return Site.of(decision, file=document["pipeline"]["path"])
    targets = frozenset(target for stage in document["stages"] if (target := stage.get("target")))
    return Site(Gate.PIPELINE, decision.file or decision.subject, targets=targets)


def recall_waivers(
    decision: Decision, files: Mapping[Sha256, bytes], site: Site, *, now: datetime | None = None
) -> KnownWaivers:
    """Return the waivers that were there when `decision` was made; `files` has each of theirs by digest.

    With `now`, another time than the decision's, those that did not last until then, or had not begun, don't count;
    what did not count for another reason never does. Raises `EvidenceMissing` for a file that is not in `files`.
    """
    verified: list[VerifiedWaiver] = []
    others: list[tuple[Waiver | None, WaiverNote]] = []
    gone: set[str] = set()
    for note in decision.waivers:
        if note.sha256 is None or note.evidence_sha256 is None:
            others.append((None, note))
            continue
        waiver = _read_waiver(note, files).waiver
        if waiver.file is not None and (note.why.endswith(_GONE) or not waiver.is_about(site)):
            gone.add(waiver.file)
        # Only of one that was verified does a note say who approved it.
        if not note.approved_by:
            others.append((waiver, note))
        elif now is not None and not waiver.not_before <= now < waiver.expires_at:
            others.append((waiver, _out_of_time(note, waiver, now)))
        else:
            verified.append(
                VerifiedWaiver(
                    waiver=waiver,
                    sha256=note.sha256,
                    evidence_sha256=note.evidence_sha256,
                    source=note.source,
                    requested_by=frozenset(note.requested_by),
                    approved_by=frozenset(note.approved_by),
                )
            )
    return KnownWaivers(tuple(verified), tuple(others), frozenset(gone))


def _recall_settings(
    policy_set: PolicySet, said: Mapping[str, Mapping[str, object]], *, where: str
) -> dict[Key, Chosen]:
    """Return the settings of the set's rules: as the decision says, and where it says nothing, as rules declare."""
    return {
        (rule_id, name): replace(
            chosen, value=chosen.setting.read(said.get(rule_id, {}).get(name, chosen.setting.default)), where=where
        )
        for (rule_id, name), chosen in policy_set.settings.items()
    }


def _carry_over(recorded: Mapping[Key, Chosen], old: PolicySet, new: PolicySet) -> dict[Key, Chosen]:
    """Return the settings of `new` with those that somebody else than the old set chose."""
    carried = dict(new.settings)
    for key, chosen in recorded.items():
        if chosen.value == old.settings[key].value:
            continue
        if key not in carried:
            raise PolicyError(
                f"no rule here has the setting {'.'.join(key)!r}",
                where=f"settings of {chosen.where}",
                fix="it was set outside the policy set: whoever set it has to take it out first",
            )
        try:
            value = carried[key].setting.read(chosen.value)
        except MisfitError as error:
            raise PolicyError(
                f"the value of the setting {'.'.join(key)!r} no longer fits: {error}",
                where=f"settings of {chosen.where}",
                fix="it was set outside the policy set: whoever set it has to change it first",
            ) from error
        carried[key] = replace(carried[key], value=value, where=chosen.where)
    return carried


def _read_waiver(note: WaiverNote, files: Mapping[Sha256, bytes]) -> ReadWaiver:
    assert note.evidence_sha256 is not None
    content = files.get(note.evidence_sha256)
    read = None if content is None else read_waiver_file(content, where=note.source)
    if not isinstance(read, ReadWaiver) or read.sha256 != note.sha256:
        raise EvidenceMissing(
            f"the waiver sha256:{note.sha256} that the decision names is not there",
            where=note.source,
            fix="put it back from a copy of the store",
        )
    return read


def _out_of_time(note: WaiverNote, waiver: Waiver, now: datetime) -> WaiverNote:
    if now < waiver.not_before:
        state, why = WaiverState.NOT_YET_VALID, f"it is valid from {rfc3339(waiver.not_before)} on"
    else:
        state, why = WaiverState.EXPIRED, f"it expired at {rfc3339(waiver.expires_at)}"
    return note.model_copy(update={"state": state, "why": why, "requested_by": (), "approved_by": ()})
