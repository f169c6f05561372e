"""Attestations as rules see them: who signed, what is said, when; and of one that fails nothing but why."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyd.adapters.signers.keyfile import KeyFileSigner
from policyd.attestation.attested import MAX_FIELDS, MAX_TEXT, Describer, flatten
from policyd.attestation.bundle import MessageSignature, render_bundle
from policyd.attestation.direct import ArtifactFile
from policyd.attestation.dsse import Envelope, Signature, envelope_to_json
from policyd.attestation.statements import Named, render_statement, sign_statement
from policyd.errors import SettingsError
from policyd.models.base import Sha256, rfc3339
from policyd.models.canonical import sha256_hex
from policyd.models.input import AttestationFact
from policyd.models.statement import MANIFEST_V1, PROVENANCE_V1
from policyd.models.trust import Instance, Role, RolePolicy, TrustedIdentity, TrustPolicy
from tests.attestation.keyless import instance
from tests.attestation.made_run import NOW, RUN_ID, key, make_role, make_run, make_trust, sha256, trusted

TYPE = "https://example.com/approval/v1"
ARTIFACT = sha256("an artifact")
INSTANCE = instance.Instance(instance.Certificates("example"))
#: What Fulcio writes of a workflow: the commit, and the run.
LEAF = instance.LeafOptions(
    more=(
        ("1.3.6.1.4.1.57264.1.13", instance.utf8(b"a" * 40), False),
        ("1.3.6.1.4.1.57264.1.21", instance.utf8(b"https://example.com/runs/7"), False),
    )
)


def attest(
    signer: KeyFileSigner | None = None, *, type_: str = TYPE, of: Sha256 = ARTIFACT, **predicate: object
) -> bytes:
    statement = render_statement([Named("x", of)], type_, predicate or {"result": "PASSED"})
    return sign_statement(statement, signer or key("approver"))


def judge(content: bytes, trust: TrustPolicy | None = None) -> AttestationFact:
    return Describer(trust or make_trust(), ARTIFACT, NOW).judge(content)


def test_one_that_holds_is_told_with_its_signer_and_fields() -> None:
    fact = judge(attest(result="PASSED", commit="c" * 40, run_id="r", counts={"a/b": [1, True, None]}))

    assert (fact.verified, fact.check, fact.reason, fact.listed, fact.origin) == (True, 0, "", False, "given")
    assert [(one.person, one.role, one.kind) for one in fact.signers] == [("approver@example.com", "approver", "key")]
    assert fact.signers[0].key_sha256 == key("approver").key_sha256
    assert fact.fields == {
        "/result": "PASSED",
        "/commit": "c" * 40,
        "/run_id": "r",
        "/counts/a~1b/0": "1",
        "/counts/a~1b/1": "true",
        "/counts/a~1b/2": "null",
    }
    assert (fact.run_id, fact.commit, fact.about_artifact, fact.fields_complete) == ("r", "c" * 40, True, True)
    assert [(one.name, one.sha256) for one in fact.subjects] == [("x", ARTIFACT)]


def _of_two_types(content: bytes) -> bytes:
    bundle = json.loads(content)
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"
    return json.dumps(bundle).encode()


@pytest.mark.parametrize(
    ("content", "check", "claimed"),
    [
        (b"null", 1, ""),
        (b"{", 1, ""),
        (_of_two_types(attest()), 2, ""),
        (render_bundle(MessageSignature(bytes(32), b"x"), key_sha256="0" * 64), 2, ""),
        (attest(key("stranger")), 4, TYPE),
        (attest(key("decider")), 10, TYPE),
        (attest(of=sha256("another")), 12, TYPE),
    ],
    ids=["null", "truncated", "payload type", "a file's signature", "a stranger", "another role", "another artifact"],
)
def test_of_one_that_fails_nothing_is_told_but_why(content: bytes, check: int, claimed: str) -> None:
    fact = judge(content)

    assert (fact.verified, fact.check, fact.predicate_type) == (False, check, claimed)
    assert fact.reason
    assert (fact.fields, fact.subjects, fact.signers, fact.run_id, fact.time) == ({}, [], [], "", "")


@pytest.mark.parametrize(("name", "check"), [("a-1.0-py3-none-any.whl", 0), ("a-2.0-py3-none-any.whl", 12)])
def test_a_package_counts_under_its_own_name_alone(name: str, check: int) -> None:
    """Whoever installs it goes by the name: the bytes of an old version must not pass as a new one."""
    statement = render_statement([Named("a-1.0-py3-none-any.whl", ARTIFACT)], TYPE, {"result": "PASSED"})
    file = ArtifactFile(name, {"sha256": bytes.fromhex(ARTIFACT)})

    fact = Describer(make_trust(), ARTIFACT, NOW, file=file).judge(sign_statement(statement, key("approver")))

    assert (fact.check, fact.verified) == (check, check == 0)


def name_by(**digests: str) -> bytes:
    """Return an attestation whose one subject has these digests."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "x", "digest": digests}],
        "predicateType": TYPE,
        "predicate": {"result": "PASSED"},
    }
    return sign_statement(json.dumps(statement).encode(), key("approver"))


@pytest.mark.parametrize(
    ("digests", "check"),
    [
        ({"sha512": "5" * 128}, 0),
        ({"sha384": "3" * 96}, 0),
        ({"sha512": "5" * 128, "sha256": ARTIFACT}, 0),
        ({"sha512": "6" * 128}, 12),  # of another file
        ({"sha512": "6" * 128, "sha256": ARTIFACT}, 12),  # a contradiction
        ({"sha1": "1" * 40, "md5": "2" * 32}, 11),  # never counts
        ({"sha512": "5" * 127}, 11),
    ],
)
def test_what_is_named_by_a_stronger_digest_alone_is_compared_by_it(digests: dict[str, str], check: int) -> None:
    """npm's provenance names a package by its SHA-512 and nothing else (docs/threats.md, T26)."""
    known = {"sha256": ARTIFACT, "sha384": "3" * 96, "sha512": "5" * 128}
    file = ArtifactFile("x", {name: bytes.fromhex(value) for name, value in known.items()})  # type: ignore[misc]

    fact = Describer(make_trust(), ARTIFACT, NOW, file=file).judge(name_by(**digests))

    assert (fact.check, fact.verified, fact.about_artifact) == (check, check == 0, check == 0)


def test_where_only_the_sha256_is_known_a_stronger_one_matches_nothing() -> None:
    assert judge(name_by(sha512="5" * 128)).check == 12


def test_every_changed_character_of_the_signed_statement_fails() -> None:
    envelope = json.loads(attest())["dsseEnvelope"]
    signed = Envelope(b'{"a": 1}', "application/vnd.in-toto+json", (Signature(b"x"),))

    assert judge(json.dumps({**envelope, "payload": envelope_to_json(signed)["payload"]}).encode()).check == 4


def test_two_persons_over_one_statement_are_two_signers() -> None:
    trust = make_role(
        make_trust(), Role.APPROVER, keys=(trusted(key("ann"), "ann"), trusted(key("bob"), "bob")), threshold=2
    )
    one, other = (json.loads(attest(key(name)))["dsseEnvelope"] for name in ("ann", "bob"))
    both = json.dumps({**one, "signatures": [*one["signatures"], *other["signatures"]]}).encode()

    assert {signer.person for signer in judge(both, trust).signers} == {"ann", "bob"}
    assert judge(json.dumps(one).encode(), trust).check == 10


def test_a_key_that_was_revoked_fails() -> None:
    trust = make_role(
        make_trust(), Role.APPROVER, keys=(trusted(key("approver"), "ann", revoked_at=NOW - timedelta(days=1)),)
    )

    assert judge(attest(), trust).check == 10


def test_an_expired_trust_policy_is_no_fact_but_an_error() -> None:
    with pytest.raises(SettingsError):
        judge(attest(), make_trust(expires_at=NOW - timedelta(days=1)))


def test_a_claimed_time_is_told_as_one() -> None:
    fact = judge(attest(finished_at=rfc3339(NOW - timedelta(hours=1))))

    assert (fact.time_source, fact.age_seconds) == ("claimed", 3600)


def test_a_time_that_lies_ahead_has_no_age() -> None:
    fact = judge(attest(finished_at=rfc3339(NOW + timedelta(hours=1))))

    assert (fact.time_source, fact.age_seconds) == ("claimed", None)


@pytest.mark.parametrize("text", ["yesterday", "2026-05-01T00:00:00", ""])
def test_what_is_no_time_is_none(text: str) -> None:
    assert judge(attest(finished_at=text)).time_source == "none"


def test_provenance_names_the_commit_it_was_built_from() -> None:
    trust = make_trust()
    resolved = [
        {"uri": "git+https://example.com/a", "digest": {"gitCommit": "d" * 40}},
        {"digest": {"sha256": ARTIFACT}},
    ]

    def commit(*dependencies: object) -> str:
        content = attest(key("builder"), type_=PROVENANCE_V1, buildDefinition={"resolvedDependencies": dependencies})
        return judge(content, trust).commit

    assert commit(*resolved) == "d" * 40
    assert commit(*resolved, {"digest": {"gitCommit": "e" * 40}}) == ""


def judge_keyless(
    *identities: TrustedIdentity, version: str = "0.3", leaf: instance.LeafOptions = LEAF
) -> AttestationFact:
    content = json.dumps(INSTANCE.bundle(payload=instance.statement(), version=version, leaf=leaf)).encode()
    root = Instance(name="example", trusted_root=json.dumps(INSTANCE.trusted_root()))
    role = RolePolicy(identities=identities, predicate_types=(PROVENANCE_V1,))
    trust = make_trust(instances=(root,))
    trust = trust.model_copy(update={"roles": {**trust.roles, Role.SCANNER: role}})
    return Describer(trust, sha256_hex(instance.CONTENT), NOW).judge(content)


def listed(**changes: object) -> TrustedIdentity:
    fields = {"person": "release", "issuer": instance.ISSUER, "identity": instance.IDENTITY, "instance": "example"}
    return TrustedIdentity(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_keyless_signer_is_told_with_identity_time_and_run() -> None:
    fact = judge_keyless(listed())

    (signer,) = fact.signers
    assert (signer.person, signer.role, signer.kind) == ("release", "scanner", "certificate")
    assert (signer.identity, signer.issuer) == (instance.IDENTITY, instance.ISSUER)
    assert (fact.time, fact.time_source) == (rfc3339(instance.SIGNED_AT), "log")
    assert (fact.commit, fact.run_id) == ("a" * 40, "https://example.com/runs/7")


def test_a_keyless_signer_whom_nobody_lists_fails() -> None:
    fact = judge_keyless(listed(identity=f"{instance.IDENTITY}0"))

    assert (fact.verified, fact.check, fact.signers) == (False, 10, [])
    assert "is not listed for the role scanner" in fact.reason


def test_a_certificate_with_a_key_that_does_not_count_fails() -> None:
    fact = judge_keyless(listed(), leaf=instance.LeafOptions(kind="rsa2048"))

    assert (fact.verified, fact.check, fact.signers) == (False, 4, [])


def test_an_older_bundle_than_the_trust_policy_takes_fails() -> None:
    fact = judge_keyless(listed(), version="0.1")

    assert (fact.verified, fact.check) == (False, 1)


def test_what_a_manifest_lists_is_told_with_its_run_and_signers() -> None:
    release = make_run().release()
    facts, manifest = release.attestations, release.manifest

    assert facts[0].predicate_type == MANIFEST_V1
    assert {fact.sha256 for fact in facts} == {
        release.manifest_sha256,
        *manifest.decisions,
        *manifest.attestations,
    }
    assert all(fact.verified and fact.listed and fact.origin == "run" and fact.signers for fact in facts)
    assert {fact.run_id for fact in facts if fact.predicate_type == PROVENANCE_V1} == {RUN_ID}
    assert any(fact.about_artifact and fact.predicate_type == PROVENANCE_V1 for fact in facts)


def test_large_predicates_are_told_in_part_and_say_so() -> None:
    fields, complete = flatten({"list": list(range(10 * MAX_FIELDS)), "name": "x"}, at_most=MAX_FIELDS)

    assert fields["/name"] == "x"  # nearer to the root
    assert (len(fields), complete) == (MAX_FIELDS, False)


def test_a_text_that_is_too_long_is_left_out_and_never_cut() -> None:
    assert flatten({"a": "x" * (MAX_TEXT + 1), "b": "y"}, at_most=9) == ({"/b": "y"}, False)


def test_a_million_fields_take_no_million_steps() -> None:
    fields, complete = flatten({str(n): {"a": {"b": [n]}} for n in range(100_000)}, at_most=MAX_FIELDS)

    assert len(fields) <= MAX_FIELDS
    assert not complete


def _cut(content: bytes) -> st.SearchStrategy[bytes]:
    """Return a bundle with some bytes of it replaced."""
    return st.tuples(st.integers(0, len(content)), st.binary(max_size=4)).map(
        lambda change: content[: change[0]] + change[1] + content[change[0] + len(change[1]) :]
    )


@given(st.binary(max_size=200) | st.sampled_from([attest(), attest(key("stranger"))]).flatmap(_cut))
def test_nothing_that_is_handed_in_raises(content: bytes) -> None:
    fact = judge(content)

    assert fact.verified or (fact.check and fact.reason)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5))
def test_pointers_lead_to_the_fields_they_name(predicate: dict[str, object]) -> None:
    fields, complete = flatten(predicate, at_most=MAX_FIELDS)

    assert complete
    for pointer, text in fields.items():
        value: object = predicate
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            value = value[int(name)] if isinstance(value, list) else value[name]  # type: ignore[index]
        assert text == (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
