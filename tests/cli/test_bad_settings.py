"""Settings, trust and keys that can't be relied on: exit code 2, and nothing is read further."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.workshop import Workshop, one_stage, put_back

pytestmark = pytest.mark.xdist_group("cli-bad-settings")

EVERYTHING = (
    ["check"],
    ["plan", "pipeline.yaml"],
    ["run", "pipeline.yaml"],
    ["verify", "data.txt"],
    ["runs"],
    ["record", "verify"],
    ["audit"],
    ["sign", "data.txt", "--key", "k.key", "--bundle", "b"],
)


@pytest.mark.parametrize("name", ["settings.yaml", "trust.yaml"])
@pytest.mark.parametrize("command", EVERYTHING, ids=lambda command: str(command[0]))
def test_what_others_can_write_decides_nothing(shop: Workshop, name: str, command: list[str]) -> None:
    with put_back(shop.places.config / name) as file:
        file.chmod(0o666)

        shop.call(*command).require_one_error(2, "can be written by others (mode 0666)", str(file), "chmod go-w")


def test_settings_of_somebody_else_decide_nothing(shop: Workshop, root: None) -> None:
    with put_back(shop.settings) as file:
        os.chown(file, 12_345, 12_345)

        shop.call("check").require_one_error(2, "belongs to user 12345", str(file))


def test_settings_that_are_a_link_decide_nothing(shop: Workshop) -> None:
    with put_back(shop.settings) as file:
        real = file.rename(file.with_suffix(".real"))
        file.symlink_to(real)

        shop.call("check").require_one_error(2, "is a link", str(file))
        real.unlink()


def test_settings_in_a_folder_that_others_can_write_decide_nothing(shop: Workshop) -> None:
    shop.places.config.chmod(0o777)
    try:
        shop.call("check").require_one_error(2, "can be written by others", str(shop.places.config))
    finally:
        shop.places.config.chmod(0o700)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [", ["not YAML", "settings.yaml:1:5"]),
        ("", ["the file is empty"]),
        ("policyd: settings/v1\n", ["trust_policy", "settings.yaml"]),
        ("policyd: settings/v1\npolicyd: settings/v1\n", ["stands twice"]),
    ],
)
def test_broken_settings_are_never_passed_over(shop: Workshop, text: str, expected: list[str]) -> None:
    with put_back(shop.settings) as file:
        file.write_text(text)

        for command in EVERYTHING:
            shop.call(*command).require_one_error(2, *expected)


def test_an_unknown_setting_is_an_error(shop: Workshop) -> None:
    with put_back(shop.settings) as file:
        file.write_text(file.read_text() + "stroe: /x\n")

        shop.call("check").require_one_error(2, "there is no setting `stroe`", str(file))


def test_settings_that_are_not_there_are_an_error_where_they_were_named(shop: Workshop) -> None:
    shop.call("check", "--settings", "nope.yaml").require_one_error(2, "no such settings file", "nope.yaml")
    shop.call("check", env={"POLICYD_SETTINGS": "nope.yaml"}).require_one_error(2, "no such settings file")


def test_without_any_settings_only_checking_works_and_says_who_governs(shop: Workshop) -> None:
    without = {"POLICYD_SETTINGS": None}

    assert "no operator settings" in shop.call("check", env=without).require(0).out
    for command in (["run", "pipeline.yaml"], ["verify", "data.txt"], ["runs"], ["record", "verify"]):
        shop.call(*command, env=without).require_one_error(2, "no operator settings", "policyd init")


def test_another_trust_policy_than_the_one_pinned_is_refused(shop: Workshop) -> None:
    with put_back(shop.places.config / "trust.yaml") as file:
        file.write_text(file.read_text() + "# a word more\n")

        shop.call("verify", "data.txt").require_one_error(2, "is not the one pinned", str(file), "trust_policy.sha256")


@pytest.mark.parametrize("folder", [".", "deep/er"])
def test_settings_below_the_repository_are_refused(shop: Workshop, folder: str) -> None:
    file = shop.write(shop.settings.read_text(), f"{folder}/own.yaml")

    for command in (["check"], ["run", "pipeline.yaml"], ["plan", "pipeline.yaml"], ["audit"]):
        shop.call(*command, "--settings", file).require_one_error(2, "must not come from the repository", str(file))
    file.unlink()


@pytest.mark.parametrize(
    "wish",
    [
        "store: /tmp/x",
        "engine: opa",
        "helpers: {opa: ./opa}",
        "policy_set: ./policies",
        "keys: {}",
        "trust_policy: {path: /x}",
        "targets: {}",
        "tools: {python: /}",
        "workspaces: /tmp",
    ],
)
def test_what_the_operator_decides_is_refused_in_the_project(shop: Workshop, wish: str) -> None:
    """The repository is the thing judged, so it never configures its judge (docs/threats.md, T13 and T31)."""
    with put_back(shop.project / "policyd.yaml") as file:
        file.write_text(f"policyd: project/v1\n{wish}\n")

        for command in (["check"], ["run", "pipeline.yaml"]):
            shop.call(*command).require_one_error(2, "is for the operator to decide", str(file))


def test_a_project_can_not_lower_a_level(shop: Workshop) -> None:
    shop.write(one_stage("'true'", "target: local", kind="deploy"), "d.yaml")
    with put_back(shop.project / "policyd.yaml") as file:
        before = shop.call("check", "d.yaml", "--format", "json").require(1).json
        file.write_text("policyd: project/v1\nfail_on: critical\n")
        after = shop.call("check", "d.yaml", "--format", "json").require(1).json
        file.write_text("policyd: project/v1\nlevels: {flow.deploy_without_tests: advisory}\n")
        said = shop.call("check", "d.yaml")

    (one,), (other,) = before["decisions"], after["decisions"]
    assert one["decision"]["violations"] == other["decision"]["violations"]
    # Both places are named: the rule's and the project's.
    said.require_one_error(2, "would fall from soft to advisory", "flow/deploy_without_tests/", "policyd.yaml")
    (shop.project / "d.yaml").unlink()


def test_a_missing_key_is_said_before_anything_runs(shop: Workshop) -> None:
    for role in ("decider", "builder", "verifier", "log"):
        with put_back(shop.places.config / "keys" / f"{role}.key") as file:
            file.unlink()

            shop.call("run", "pipeline.yaml").require_one_error(
                2, f"the {role} key is not there", str(file), f"keys.{role}"
            )
    assert shop.call("runs", "--format", "json").json["runs"] == []


def test_a_key_that_others_can_read_is_not_used(shop: Workshop) -> None:
    with put_back(shop.places.config / "keys" / "builder.key") as file:
        file.chmod(0o640)

        shop.call("run", "pipeline.yaml").require_one_error(2, "open to others (mode 0640)", str(file), "chmod 600")


def test_a_key_of_another_role_signs_nothing(shop: Workshop) -> None:
    """One key for every role would let whoever decides also vouch for what was built (docs/threats.md, T36)."""
    keys = shop.places.config / "keys"
    with put_back(shop.settings) as file:
        file.write_text(file.read_text().replace(str(keys / "builder.key"), str(keys / "decider.key")))

        shop.call("run", "pipeline.yaml").require_one_error(2, "does not list this key as builder", "decider.key")


def test_a_file_that_is_no_key_is_said(shop: Workshop) -> None:
    with put_back(shop.places.config / "keys" / "log.key") as file:
        file.write_text("nonsense")

        shop.call("run", "pipeline.yaml").require_one_error(2, "no private key", str(file))


def test_a_store_that_others_can_write_is_not_used(shop: Workshop) -> None:
    shop.store.chmod(0o777)
    try:
        shop.call("run", "pipeline.yaml").require_one_error(2, "can be written by others", str(shop.store))
    finally:
        shop.store.chmod(0o700)


def test_checkpoints_inside_the_store_are_refused(shop: Workshop) -> None:
    """Put back with the store, they would show no rollback."""
    with put_back(shop.settings) as file:
        file.write_text(file.read_text().replace(f'state: "{shop.places.state}"', f'state: "{shop.store}/state"'))

        shop.call("run", "pipeline.yaml").require_one_error(2, "state")


def test_helpers_are_never_found_through_the_callers_path(shop: Workshop, tmp_path: Path) -> None:
    """docs/threats.md, T17 and T44."""
    fake = tmp_path / "git"
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    for name in ("git", "bwrap", "opa"):
        (tmp_path / name).write_text(fake.read_text())
        (tmp_path / name).chmod(0o755)

    shop.call("plan", "pipeline.yaml", env={"PATH": f"{tmp_path}:{os.defpath}"}).require(0)
    shop.call("doctor", env={"PATH": str(tmp_path)})

    assert not (tmp_path / "called").exists()
