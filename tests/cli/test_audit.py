"""`policyd audit`: which controls are met, and never because nothing was looked at."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from tests.cli.conftest import Released
from tests.cli.workshop import Workshop, put_back

pytestmark = pytest.mark.xdist_group("cli-released")


def statuses(document: dict[str, object]) -> set[str]:
    frameworks = document["frameworks"]
    assert isinstance(frameworks, list)
    return {control["status"] for framework in frameworks for control in framework["controls"]}


def met(document: dict[str, object]) -> set[str]:
    frameworks = document["frameworks"]
    assert isinstance(frameworks, list)
    controls = [control for framework in frameworks for control in framework["controls"]]
    return {control["control"]["id"] for control in controls if control["status"] == "met"}


def test_an_audit_names_each_control_with_its_evidence(released: Released) -> None:
    said = released.shop.call("audit")
    document = released.shop.call("audit", "--format", "json").json

    assert "OWASP-CICD-SEC-1" in said.out
    assert "SLSA-BUILD-L1" in said.out
    assert f"run {released.run_id[:12]}" in said.out
    assert said.err == ""
    assert said.code == 1  # nobody claims a hosted builder here
    for framework in document["frameworks"]:
        for control in framework["controls"]:
            assert control["status"] != "met" or control["evidence"], control


def test_where_nothing_is_to_be_looked_at_nothing_is_met(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()

    document = shop.call("audit", "--format", "json", cwd=tmp_path).require(4).json

    assert statuses(document) == {"not_tested"}


def test_a_repository_without_runs_has_no_evidence_of_runs(fresh: Workshop) -> None:
    document = fresh.call("audit", "--framework", "slsa-build-v1.2", "--format", "json").json

    assert not any("PROVENANCE" in control for control in met(document))


def test_runs_of_another_repository_are_no_evidence_for_this_one(released: Released, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "pipeline.yaml").write_text(
        (released.shop.project / "pipeline.yaml").read_text().replace("name: demo", "name: elsewhere", 1)
    )

    document = released.shop.call("audit", "--format", "json", cwd=tmp_path).json

    assert released.run_id not in str(document)


def test_a_run_whose_manifest_is_gone_is_no_evidence(fresh: Workshop, bwrap: Path) -> None:
    run = fresh.call("run", "pipeline.yaml", "--format", "json").require(0).json
    before = fresh.call("audit", "--framework", "slsa-build-v1.2", "--format", "json").json
    fresh.object(run["manifest_sha256"]).unlink()

    after = fresh.call("audit", "--framework", "slsa-build-v1.2", "--format", "json").json

    assert "SLSA-BUILD-PROVENANCE-EXISTS" in met(before)
    assert "SLSA-BUILD-PROVENANCE-EXISTS" not in met(after)


def test_a_pipeline_that_does_not_parse_leaves_the_audit_undecided(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "pipeline.yaml").write_text("policyd: pipeline/v1\nname: [\n")

    document = shop.call("audit", "--format", "json", cwd=tmp_path).require(3).json

    assert "met" not in statuses(document)


def test_the_page_is_one_file_that_loads_nothing(released: Released, tmp_path: Path) -> None:
    page = tmp_path / "audit.html"

    said = released.shop.call("audit", "--html", page, "--format", "json")

    assert said.json["frameworks"]
    assert said.err == f"wrote {page}\n"
    text = html.unescape(page.read_text())
    assert text.startswith("<!doctype html>")
    assert "default-src 'none'" in text
    for word in ("<script", "src=", "@import", 'http-equiv="refresh'):
        assert word not in text


def test_wrong_requests_are_said(released: Released) -> None:
    released.shop.call("audit", "nope").require_one_error(2, "no such path", "nope")
    released.shop.call("audit", "--framework", "x").require_one_error(2, "there is no framework x", "owasp-cicd-sec")
    released.shop.call("audit", "--html", "/proc/x.html").require_one_error(2, "can't be written", "/proc/x.html")


def test_a_hostile_name_in_a_pipeline_can_not_write_into_the_page(shop: Workshop, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with put_back(shop.project / "policyd.yaml"):
        (tmp_path / "<script>alert(1)<").mkdir()
        (tmp_path / "<script>alert(1)<" / "pipeline.yaml").write_text("policyd: pipeline/v1\nname: [\n")
        shop.call("audit", "--html", tmp_path / "a.html", cwd=tmp_path).require(3)

    text = (tmp_path / "a.html").read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)" in text
