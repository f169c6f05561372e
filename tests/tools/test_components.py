"""Advisories come from OSV records that lie in a folder; what people wrote about them stays."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tools.components import ECOSYSTEM, NO_ACTION, main, read_records, refresh, render

TODAY = date(2026, 11, 23)


def components(**actions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a file that lists `actions`, `_` for the slash of their names."""
    action = {name.replace("_", "/"): advisories for name, advisories in actions.items()}
    return {"schema": "policyd.components/v1", "updated": "2026-01-01", "vulnerable": {"action": action, "image": {}}}


def advisory(**fields: object) -> dict[str, Any]:
    """Return an advisory as the file lists it."""
    return {
        "id": "GHSA-aaaa-bbbb-cccc",
        "aliases": ["CVE-2026-1"],
        "from": "0.0.0",
        "fixed": "2.1.0",
        "moved": False,
        "commits": [],
        "summary": "It leaks",
        "source": "https://github.com/advisories/GHSA-aaaa-bbbb-cccc",
    } | fields


def record(*events: dict[str, str], **fields: object) -> dict[str, Any]:
    """Return an OSV record about `Owner/name` with one range of `events`."""
    affected = {
        "package": {"ecosystem": ECOSYSTEM, "name": "Owner/name"},
        "ranges": [{"type": "ECOSYSTEM", "events": list(events or ({"introduced": "0"}, {"fixed": "2.1"}))}],
    }
    return {
        "id": "GHSA-aaaa-bbbb-cccc",
        "aliases": ["CVE-2026-1", "OTHER-1"],
        "summary": " It\nleaks ",
        "affected": [affected],
    } | fields


def listed(*records: dict[str, Any], **actions: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the file lists of actions once `records` were read."""
    new, _ = refresh(components(**actions), records, TODAY)
    found: dict[str, Any] = new["vulnerable"]["action"]
    return found


def test_a_record_is_written_down_in_the_words_of_the_file() -> None:
    new, changes = refresh(components(), [record()], TODAY)
    assert new["vulnerable"]["action"] == {"owner/name": [advisory()]}
    assert new["updated"] == "2026-11-23"
    assert changes.added == ["owner/name GHSA-aaaa-bbbb-cccc"]


@pytest.mark.parametrize(
    ("events", "span"),
    [
        ([{"introduced": "0"}, {"fixed": "41"}], ("0.0.0", "41.0.0")),
        ([{"introduced": "v4.0"}, {"fixed": "v4.1.3"}], ("4.0.0", "4.1.3")),
        ([{"introduced": "0"}, {"last_affected": "1.1.0"}], ("0.0.0", "1.1.1")),
        ([{"introduced": "1.2.3"}], ("1.2.3", "")),
    ],
    ids=["one number", "v", "last affected", "not mended"],
)
def test_versions_have_three_numbers(events: list[dict[str, str]], span: tuple[str, str]) -> None:
    [found] = listed(record(*events))["owner/name"]
    assert (found["from"], found["fixed"]) == span


def test_two_spans_of_one_record_are_two_advisories() -> None:
    found = listed(record({"introduced": "0"}, {"fixed": "1.1.1"}, {"introduced": "2.0.0"}, {"fixed": "2.1.1"}))
    assert [(one["from"], one["fixed"]) for one in found["owner/name"]] == [("0.0.0", "1.1.1"), ("2.0.0", "2.1.1")]


@pytest.mark.parametrize(("known", "fixed"), [("< 3.0.0", "3.0.0"), ("<= 2.27.9", "2.27.10"), ("", ""), ("?", "")])
def test_where_nothing_mends_it_the_last_known_version_counts(known: str, fixed: str) -> None:
    given = record({"introduced": "2.26.11"})
    given["affected"][0]["database_specific"] = {"last_known_affected_version_range": known}
    [found] = listed(given)["owner/name"]
    assert found["fixed"] == fixed


def test_what_people_wrote_stays_when_the_versions_change() -> None:
    mine = advisory(
        fixed="1.0.0", summary="its input can run commands", commits=["a" * 40], moved=True, source="https://a"
    )
    new, changes = refresh(components(owner_name=[mine]), [record()], TODAY)
    assert new["vulnerable"]["action"]["owner/name"] == [mine | {"fixed": "2.1.0"}]
    assert changes.changed == ["owner/name GHSA-aaaa-bbbb-cccc"]


def test_what_is_known_by_commits_alone_stays_so() -> None:
    mine = advisory(fixed="0.0.0", commits=["a" * 40])
    assert listed(record(), owner_name=[mine]) == {"owner/name": [mine]}


def test_advisories_without_a_record_stay() -> None:
    other = advisory(id="GHSA-zzzz-zzzz-zzzz")
    assert listed(record(), owner_name=[other])["owner/name"] == [advisory(), other]
    assert listed(record(), other_name=[other]) == {"other/name": [other], "owner/name": [advisory()]}


def test_a_withdrawn_record_takes_its_advisory_away() -> None:
    new, changes = refresh(components(owner_name=[advisory()]), [record(withdrawn="2026-02-01T00:00:00Z")], TODAY)
    assert new["vulnerable"]["action"] == {}
    assert changes.removed == ["owner/name GHSA-aaaa-bbbb-cccc"]


def test_foreign_code_in_a_release_is_of_moved_tags() -> None:
    [found] = listed(record(database_specific={"cwe_ids": ["CWE-506"]}))["owner/name"]
    assert found["moved"] is True


def test_what_is_no_action_is_left_out() -> None:
    other = record()
    other["affected"][0]["package"] = {"ecosystem": "npm", "name": "left-pad"}
    assert listed(record(id=min(NO_ACTION)), other) == {}


@pytest.mark.parametrize("version", ["main", "1.2.3.4", "2024-01-01", "", "1.x"])
@pytest.mark.parametrize("event", ["introduced", "fixed", "last_affected"])
def test_what_is_no_plain_version_is_said_and_not_guessed(event: str, version: str) -> None:
    first = version if event == "introduced" else "0"
    given = record({"introduced": first}, {event: version} if event != "introduced" else {"fixed": "2.0.0"})
    new, changes = refresh(components(owner_name=[advisory(fixed="1.0.0")]), [given], TODAY)
    assert new["vulnerable"]["action"] == {"owner/name": [advisory(fixed="1.0.0")]}
    assert changes.unclear == ["owner/name GHSA-aaaa-bbbb-cccc"]


def test_a_path_in_a_repository_is_found_by_the_repository() -> None:
    given = record()
    given["affected"].append(record()["affected"][0] | {"package": {"ecosystem": ECOSYSTEM, "name": "Owner/name/slim"}})
    assert listed(given) == {"owner/name": [advisory()]}


def test_a_second_refresh_changes_nothing() -> None:
    first, _ = refresh(components(), [record()], TODAY)
    second, changes = refresh(first, [record()], TODAY)
    assert second == first
    assert [*changes.added, *changes.changed, *changes.removed, *changes.unclear] == []


def test_records_of_other_ecosystems_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.json").write_text(json.dumps(record()))
    (tmp_path / "b.json").write_text(json.dumps({"id": "GHSA-1", "affected": []}))
    assert [one["id"] for one in read_records(tmp_path)] == ["GHSA-aaaa-bbbb-cccc"]


def test_a_folder_without_records_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "nothing was changed" in capsys.readouterr().err
    assert main([]) == 2


def test_what_is_rendered_reads_back() -> None:
    value = {"a": [{"b": ["x" * 60, "y" * 60]}], "c": {}, "d": [], "e": {"f": ["1", "2"], "g": True}}
    assert json.loads(render(value)) == value
