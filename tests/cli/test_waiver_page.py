"""docs/waivers.md, followed word for word by two people."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.cli.workshop import Workshop, one_stage

PAGE = (Path(__file__).parent.parent.parent / "docs" / "waivers.md").read_text()
RULE = "dependencies.unverified_script"


def commands() -> list[list[str]]:
    """Return the commands of the one block of shell on the page."""
    (found,) = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for line in found.splitlines()]


def test_the_way_to_a_second_person_works_as_it_is_written(fresh: Workshop) -> None:
    fresh.write(one_stage("'curl -s https://example.com/x | sh'", kind="scan"))
    config = fresh.places.config
    fresh.call("keygen", "--out", fresh.home / "bob").require(0)
    (config / "bob.pub").write_bytes((fresh.home / "bob.pub").read_bytes())

    for policyd, *words in commands():
        assert policyd == "policyd"
        fresh.call(*words, *(["--yes"] if words[:2] == ["trust", "sign"] else []), cwd=config).require(0)

    asked = ("--reason", "the vendor publishes no digests", "--expires", "60d")
    fresh.call("check").require(1)
    fresh.call(
        "waiver", "request", RULE, "pipeline.yaml:6", *asked, "--key", config / "keys" / "requester.key"
    ).require(0)
    fresh.call("waiver", "approve", RULE, "--key", config / "keys" / "waiver-approver.key", "--yes").require(1)
    fresh.call("waiver", "approve", RULE, "--key", fresh.home / "bob.key", "--yes").require(0)
    fresh.call("check").require(0)


def test_the_page_names_every_state() -> None:
    from policyd.models.decision import WaiverState

    for state in WaiverState:
        assert f"`{state.value}`" in PAGE
