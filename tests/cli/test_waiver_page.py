"""docs/waivers.md, followed word for word by two people."""

from __future__ import annotations

import re
import subprocess
import textwrap
from pathlib import Path

from tests.cli.workshop import Workshop, one_stage

PAGE = (Path(__file__).parent.parent.parent / "docs" / "waivers.md").read_text()
RULE = "dependencies.unverified_script"


def block(kind: str) -> str:
    """Return the one block of this kind on the page."""
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_way_to_a_second_person_works_as_it_is_written(fresh: Workshop) -> None:
    fresh.write(one_stage("'curl -s https://example.com/x | sh'", kind="scan"))
    config = fresh.places.config
    fresh.call("keygen", "--out", fresh.home / "bob").require(0)
    pem = textwrap.indent((fresh.home / "bob.pub").read_text(), " " * 10)
    trust = (config / "trust.yaml").read_text()
    # What the page says to put there, where it says.
    entry = block("yaml").replace("          BOB.PUB\n", pem)
    role = trust.index("  waiver-approver:\n")
    head, keys, rest = trust[:role], *trust[role:].partition("    keys:\n")[::2]
    (config / "trust.yaml").write_text(head + keys + entry + rest)
    fresh.call("check").require_one_error(2, "the trust policy is not the one pinned")

    subprocess.run(["/bin/sh", "-eu", "-c", block("sh")], cwd=config, check=True)

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
