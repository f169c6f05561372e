"""Approvals: made by `policyd attest` with an approver's key, and counted by rules, for what no run made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from policyd.adapters.signers.keyfile import generate_key
from policyd.adapters.signers.loading import load_signer
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.models.canonical import sha256_hex
from policyd.models.statement import APPROVAL_V1
from tests.cli.test_verify_foreign import ANN, CONTENT, SCAN
from tests.cli.workshop import Said, Workshop, open_workshop

COMMIT = "c" * 40
APPROVERS = ("bob", "eve", "dan")


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    """An operator who takes what others made if two of three approvers approved it for its target."""
    with open_workshop(
        "rule_settings:\n"
        "  evidence.required_attestations:\n"
        f"    foreign: ['{APPROVAL_V1} any role=approver signers=2']\n"
        "  evidence.agreeing_fields:\n"
        f"    fields: ['requester {APPROVAL_V1} /requested_by']\n"
    ) as made:
        made.change_settings("    uri: policyd://local\n", "    uri: policyd://local\n    foreign: foreign\n")
        before = (made.places.config / "trust.yaml").read_text()
        trust = yaml.safe_load(before)
        for name in APPROVERS:
            key = generate_key(made.home / f"{name}.key")
            trust["roles"]["approver"]["keys"].append(
                {"person": f"{name}@example.com", "public_key": key.public_key_pem}
            )
        # An operator's slip, which must open nothing.
        trust["roles"]["scanner"] = {
            "keys": [{"person": "ann@example.com", "public_key": ANN.public_key_pem}],
            "predicate_types": [SCAN, APPROVAL_V1],
        }
        made.change_trust(before, yaml.safe_dump(trust))
        generate_key(made.home / "free.key")
        yield made


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "tool.tar"
    path.write_bytes(CONTENT)
    return path


def predicate(**changes: object) -> dict[str, object]:
    said: dict[str, object] = {
        "policyd": "approval/v1",
        "target": "local",
        "reason": "Tested by hand on staging, see ticket 7.",
        "requested_by": "carol@example.com",
        "approved_at": "2026-05-01T12:00:00Z",
        "commit": COMMIT,
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def attest(shop: Workshop, artifact: Path, who: str, **changes: object) -> Said:
    (artifact.parent / f"{who}.predicate.json").write_text(json.dumps(predicate(**changes)))
    return shop.call(
        *("attest", artifact, "--predicate-type", "approval", "--predicate", artifact.parent / f"{who}.predicate.json"),
        *("--key", shop.home / f"{who}.key", "--bundle", artifact.parent / f"{who}.json"),
    )


def approve(shop: Workshop, artifact: Path, who: str, **changes: object) -> Path:
    attest(shop, artifact, who, **changes).require(0)
    return artifact.parent / f"{who}.json"


def verify(shop: Workshop, artifact: Path, *bundles: Path) -> Said:
    return shop.call("verify", artifact, *(part for path in bundles for part in ("--bundle", path)))


def test_two_of_three_approvers_let_it_leave(shop: Workshop, artifact: Path) -> None:
    approvals = [approve(shop, artifact, who) for who in ("bob", "dan")]

    said = verify(shop, artifact, *approvals).require(0)

    assert f"{APPROVAL_V1}, signed by bob@example.com (approver)" in " ".join(said.out.split())
    assert "does not meet" in verify(shop, artifact, approvals[0]).require(1).out
    assert "does not meet" in verify(shop, artifact, approvals[0], approvals[0]).require(1).out


def test_an_approval_for_another_target_is_none(shop: Workshop, artifact: Path) -> None:
    approvals = [approve(shop, artifact, "bob"), approve(shop, artifact, "eve", target="staging")]

    assert "does not meet" in verify(shop, artifact, *approvals).require(1).out


def test_an_approval_of_another_commit_denies(shop: Workshop, artifact: Path) -> None:
    approvals = [approve(shop, artifact, "bob"), approve(shop, artifact, "eve", commit="d" * 40)]

    assert "2 different commits" in " ".join(verify(shop, artifact, *approvals).require(1).out.split())


def test_who_asked_for_it_never_counts(shop: Workshop, artifact: Path) -> None:
    """Neither where they say so themselves, nor where others say so and they name somebody else."""
    open_self = [approve(shop, artifact, "bob"), approve(shop, artifact, "eve", requested_by="eve@example.com")]
    said = verify(shop, artifact, *open_self).require(1)
    assert "eve@example.com asked for this approval" in " ".join(said.out.split())

    artifact.parent.joinpath("bob.json").unlink()
    artifact.parent.joinpath("eve.json").unlink()
    hidden = [approve(shop, artifact, "bob", requested_by="eve@example.com"), approve(shop, artifact, "eve")]
    said = verify(shop, artifact, *hidden).require(1)
    assert "does not meet" in said.out
    assert "do not agree on requester" in " ".join(said.out.split())


def test_only_the_role_approver_approves_whatever_the_trust_policy_lists(shop: Workshop, artifact: Path) -> None:
    statement = render_statement([Named("tool.tar", sha256_hex(CONTENT))], APPROVAL_V1, predicate())
    scanner = artifact.parent / "scanner.json"
    scanner.write_bytes(sign_statement(statement, ANN))
    approvals = [approve(shop, artifact, who) for who in ("bob", "dan")]

    said = verify(shop, artifact, *approvals, scanner).require(1)

    assert "check 10: the role scanner can't approve" in " ".join(said.out.split())


def test_an_approval_that_does_not_say_all_of_it_fails(shop: Workshop, artifact: Path) -> None:
    """Signed by an approver with another tool, which checks no predicate."""
    signer = load_signer(shop.home / "bob.key", password=str)
    statement = render_statement([Named("tool.tar", sha256_hex(CONTENT))], APPROVAL_V1, predicate(target=None))
    short = artifact.parent / "short.json"
    short.write_bytes(sign_statement(statement, signer))

    said = verify(shop, artifact, short).require(1)

    assert "check 11" in said.out
    assert "target" in said.out


@pytest.mark.parametrize(
    ("who", "changes", "code", "says"),
    [
        ("free", {}, 2, "an approval counts by the role approver alone"),
        ("bob", {"target": None}, 2, "/target"),
        ("bob", {"reason": "ok"}, 2, "/reason"),
        ("bob", {"commit": None}, 2, "it names none of `run_id`, `plan_sha256` and `commit`"),
        ("bob", {"commit": "main"}, 2, "/commit"),
        ("bob", {"approved_at": "yesterday"}, 2, "/approved_at"),
        ("bob", {"approver": "bob"}, 2, "/approver"),
    ],
)
def test_an_approval_that_would_not_count_is_not_made(
    who: str, changes: dict[str, object], code: int, says: str, shop: Workshop, artifact: Path
) -> None:
    attest(shop, artifact, who, **changes).require_one_error(code, says)

    assert not (artifact.parent / f"{who}.json").exists()


def test_an_approvers_key_says_nothing_but_approvals(shop: Workshop, artifact: Path) -> None:
    said = artifact.parent / "said.json"
    said.write_text('{"a": "b"}')

    shop.call(
        *("attest", artifact, "--predicate-type", "https://example.com/x/v1", "--predicate", said),
        *("--key", shop.home / "bob.key", "--bundle", artifact.parent / "x.json"),
    ).require_error("this key has the role approver")
