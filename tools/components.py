"""Bring the advisories in `policies/data/components.json` up to date from OSV records that lie in a folder.

    python -m tools.components FOLDER

FOLDER holds records in OSV's form, one to a file: what OSV offers for download of the ecosystem "GitHub Actions", or
`advisories/github-reviewed` of a clone of github.com/github/advisory-database. Nothing is fetched. What the file says
of GitHub Actions is replaced advisory by advisory; a summary, commits and the mark `moved` that stand there already
stay. Advisories without a record in FOLDER, and all that isn't about versions of actions, are left alone.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COMPONENTS = ROOT / "policies" / "data" / "components.json"
ECOSYSTEM = "GitHub Actions"
WIDTH = 120
SUMMARY = 120  # characters; it is shown in one line of a finding

# What these speak of is no action: the workflows of a repository itself, or a program that is filed in the wrong place.
NO_ACTION = frozenset(
    {
        "GHSA-2c6m-6gqh-6qg3",  # actions/runner
        "GHSA-6p2j-742g-835f",  # a workflow of Tiryoh/actions-mkdocs
        "GHSA-99jg-r3f4-rpxj",  # OpenEXR-viewer
        "GHSA-c3xh-98xp-6qhf",  # a workflow of gouef/githubtoplanguages
        "GHSA-f67f-hcr6-94mf",  # a workflow of SHAdd0WTAka/Zen-Ai-Pentest
        "GHSA-hw6r-g8gj-2987",  # an action that only pytorch/pytorch uses
        "GHSA-phf6-hm3h-x8qp",  # a workflow of broadinstitute/cromwell
        "GHSA-r4fj-r33x-8v88",  # a workflow of njzjz/wenxian
    }
)
_FOREIGN_CODE = "CWE-506"  # the release held code of somebody else

Advisory = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a refresh did, as `owner/name id`, and what it could not write down."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)


def read_records(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield every record in `folder` and below that speaks of an action."""
    for path in sorted(folder.rglob("*.json")):
        content = path.read_bytes()
        if ECOSYSTEM.encode() in content:
            yield json.loads(content)


def refresh(
    components: Mapping[str, Any], records: Iterable[Mapping[str, Any]], today: date
) -> tuple[dict[str, Any], Changes]:
    """Return `components` with what `records` say of actions, and what that changed."""
    new = deepcopy(dict(components))
    actions: dict[str, list[Advisory]] = new["vulnerable"]["action"]
    changes = Changes()
    for record in sorted(records, key=lambda record: str(record["id"])):
        if record["id"] in NO_ACTION:
            continue
        unclear = len(changes.unclear)
        found = {} if record.get("withdrawn") else _read_record(record, changes)
        if len(changes.unclear) > unclear:
            continue  # what stands there stays until somebody has looked
        for slug in sorted({*found, *_slugs_with(actions, record["id"])}):
            _put(actions, slug, record["id"], found.get(slug, []), changes)
    new["vulnerable"]["action"] = dict(sorted(actions.items()))
    new["updated"] = today.isoformat()
    return new, changes


def render(value: object, indent: int = 0, room: int = WIDTH) -> str:
    """Return `value` as JSON: what fits on a line stands on one, so that a change shows in few lines."""
    short = json.dumps(value, ensure_ascii=False)
    if len(short) <= room or not isinstance(value, dict | list) or not value:
        return short
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        heads = [f"{json.dumps(key, ensure_ascii=False)}: " for key in value]
        parts = [
            head + _render_below(below, indent + 2, head) for head, below in zip(heads, value.values(), strict=True)
        ]
        opening, closing = "{}"
    else:
        parts = [_render_below(below, indent + 2, "") for below in value]
        opening, closing = "[]"
    return opening + "\n" + ",\n".join(inner + part for part in parts) + "\n" + " " * indent + closing


def _render_below(value: object, indent: int, head: str) -> str:
    # Advisories always stand apart, whatever their length.
    apart = isinstance(value, list) and any(isinstance(one, dict) for one in value)
    return render(value, indent, 0 if apart else WIDTH - indent - len(head) - 1)


def _slugs_with(actions: Mapping[str, Sequence[Advisory]], identity: str) -> list[str]:
    return [slug for slug, advisories in actions.items() if any(one["id"] == identity for one in advisories)]


def _put(actions: dict[str, list[Advisory]], slug: str, identity: str, found: list[Advisory], changes: Changes) -> None:
    before = [one for one in actions.get(slug, []) if one["id"] == identity]
    others = [one for one in actions.get(slug, []) if one["id"] != identity]
    if before and all(one["from"] == one["fixed"] for one in before):
        return  # known by its commits alone: the tags have been put right or taken away since
    after = [{**one, **_kept(before)} for one in found]
    if after == before:
        return
    listed = changes.removed if not after else changes.changed if before else changes.added
    listed.append(f"{slug} {identity}")
    actions[slug] = sorted([*others, *after], key=lambda one: (str(one["id"]), _numbers(one["from"])))
    if not actions[slug]:
        del actions[slug]


def _kept(before: Sequence[Advisory]) -> dict[str, Any]:
    return {key: before[0][key] for key in ("moved", "commits", "summary", "source")} if before else {}


def _read_record(record: Mapping[str, Any], changes: Changes) -> dict[str, list[Advisory]]:
    found: dict[str, list[Advisory]] = {}
    for affected in record.get("affected", []):
        if affected.get("package", {}).get("ecosystem") != ECOSYSTEM:
            continue
        slug = "/".join(str(affected["package"].get("name", "")).lower().split("/")[:2])
        spans = list(_spans(affected))
        if not spans or None in spans or not re.fullmatch("[a-z0-9._-]+/[a-z0-9._-]+", slug):
            changes.unclear.append(f"{slug} {record['id']}")
            continue
        for first, fixed in filter(None, spans):
            one = _advisory(record, first, fixed)
            if one not in found.setdefault(slug, []):
                found[slug].append(one)
    return found


def _advisory(record: Mapping[str, Any], first: str, fixed: str) -> Advisory:
    specific = record.get("database_specific") or {}
    return {
        "id": record["id"],
        "aliases": sorted(alias for alias in record.get("aliases", []) if alias.startswith("CVE-")),
        "from": first,
        "fixed": fixed,
        "moved": _FOREIGN_CODE in (specific.get("cwe_ids") or []),
        "commits": [],
        "summary": " ".join(str(record.get("summary", "")).split())[:SUMMARY],
        "source": f"https://github.com/advisories/{record['id']}",
    }


def _spans(affected: Mapping[str, Any]) -> Iterator[tuple[str, str] | None]:
    """Yield the first affected version and the first that isn't, `""` if nothing mends it; None if it isn't clear."""
    known = str((affected.get("database_specific") or {}).get("last_known_affected_version_range", ""))
    for span in affected.get("ranges", []):
        if span.get("type") not in ("ECOSYSTEM", "SEMVER"):
            continue
        first: str | None = None
        for event in span.get("events", []):
            if "introduced" in event:
                first = _version(event["introduced"])
            elif first is not None and ("fixed" in event or "last_affected" in event):
                end = _end(event)
                yield (first, end) if first and end else None
                first = None
        if first is not None:
            yield (first, _known_end(known)) if first else None


def _end(event: Mapping[str, Any]) -> str:
    if "fixed" in event:
        return _version(event["fixed"])
    return _after(_version(event["last_affected"])) if "last_affected" in event else ""


def _known_end(text: str) -> str:
    if not (found := re.fullmatch(r"(?P<sign><=?) *(?P<version>\S+)", text)):
        return ""
    version = _version(found["version"])
    return _after(version) if found["sign"] == "<=" else version


def _version(text: object) -> str:
    """Return `v4.1` and the like with three numbers; `""` for what is no plain version."""
    if not re.fullmatch(r"v?[0-9]{1,6}(\.[0-9]{1,6}){0,2}", str(text)):
        return ""
    numbers = [str(int(number)) for number in str(text).removeprefix("v").split(".")]
    return ".".join([*numbers, "0", "0"][:3])


def _after(version: str) -> str:
    numbers = _numbers(version)
    return f"{numbers[0]}.{numbers[1]}.{numbers[2] + 1}" if numbers else ""


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".") if number]


def main(arguments: Sequence[str]) -> int:
    """Write the file anew and print what changed; return the exit code."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    records = list(read_records(Path(arguments[0])))
    if not records:
        print(f"no OSV record about {ECOSYSTEM} in {arguments[0]}: nothing was changed", file=sys.stderr)
        return 2
    components, changes = refresh(json.loads(COMPONENTS.read_bytes()), records, datetime.now(UTC).date())
    COMPONENTS.write_text(render(components) + "\n", encoding="utf-8")
    for head, listed in (
        ("added, write a summary", changes.added),
        ("changed", changes.changed),
        ("withdrawn", changes.removed),
        ("not understood, look yourself", changes.unclear),
    ):
        for one in listed:
            print(f"{head}: {one}")
    print(f"{len(records)} records read")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
