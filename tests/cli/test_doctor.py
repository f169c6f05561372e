"""`policyd doctor`: what this machine has, tried and not guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.workshop import Said, Workshop, put_back

pytestmark = pytest.mark.xdist_group("cli-doctor")


def findings(said: Said) -> dict[str, str]:
    return {one["subject"]: one["state"] for one in said.json["findings"]}


def test_a_machine_that_has_everything_is_fine(shop: Workshop, bwrap: Path) -> None:
    text = shop.call("doctor").require(0).out
    found = findings(shop.call("doctor", "--format", "json").require(0))

    for subject in ("embedded engine", "sandbox", "settings", "store", "state", "policy set", "target local"):
        assert found[subject] == "ok", found
        assert f"ok      {subject}" in text
    assert {found[f"{role} key"] for role in ("decider", "builder", "verifier", "log")} == {"note"}


def test_what_is_missing_is_named_with_the_way_to_get_it(shop: Workshop) -> None:
    said = shop.call("doctor", env={"POLICYD_SETTINGS": None}).require(2)

    assert "missing settings" in said.out
    assert "to do: policyd init" in said.out


@pytest.mark.parametrize(
    ("subject", "file", "text"),
    [
        ("settings", "settings.yaml", "a: ["),
        ("settings", "trust.yaml", "changed"),
        ("builder key", "keys/builder.key", "nonsense"),
    ],
)
def test_what_is_broken_is_said_and_makes_the_whole_unusable(
    shop: Workshop, subject: str, file: str, text: str
) -> None:
    with put_back(shop.places.config / file) as path:
        path.write_text(text)

        assert findings(shop.call("doctor", "--format", "json").require(2))[subject] == "broken"


def test_a_missing_key_is_no_reason_to_make_a_new_one(shop: Workshop) -> None:
    with put_back(shop.places.config / "keys" / "log.key") as path:
        path.unlink()

        said = shop.call("doctor").require(2)

    assert "missing log key" in said.out
    assert "a new key is a new identity" in said.out


def test_a_key_in_the_wrong_role_is_broken(shop: Workshop) -> None:
    keys = shop.places.config / "keys"
    with put_back(shop.settings) as path:
        path.write_text(path.read_text().replace(str(keys / "log.key"), str(keys / "scanner.key")))

        assert findings(shop.call("doctor", "--format", "json").require(2))["log key"] == "broken"


def test_a_policy_set_that_does_not_count_is_broken(shop: Workshop) -> None:
    with put_back(shop.settings), put_back(shop.places.config / "trust.yaml") as trust:
        sha256 = trust.read_text().strip().rpartition("- ")[2]
        shop.change_trust(sha256, "f" * 64)

        assert findings(shop.call("doctor", "--format", "json").require(2))["policy set"] == "broken"


def test_a_target_folder_that_is_gone_is_missing(shop: Workshop) -> None:
    folder = shop.places.targets / "local"
    folder.rename(folder.with_name("away"))
    try:
        assert findings(shop.call("doctor", "--format", "json").require(2))["target local"] == "missing"
    finally:
        folder.with_name("away").rename(folder)


def test_a_helper_that_others_can_write_is_broken(shop: Workshop, tmp_path: Path) -> None:
    helper = tmp_path / "opa"
    helper.write_text("#!/bin/sh\n")
    helper.chmod(0o777)
    with put_back(shop.settings) as path:
        path.write_text(path.read_text() + f'helpers: {{opa: "{helper}"}}\n')

        assert findings(shop.call("doctor", "--format", "json").require(2))["opa"] == "broken"
