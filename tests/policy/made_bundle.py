"""A policy set in a signed bundle, made in memory, and what attackers make of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from policyd.adapters.signers.keyfile import KeyFileSigner
from policyd.attestation.statements import sign_statement
from policyd.models.canonical import sha256_hex
from policyd.models.policy_bundle import BundleIdentity, PolicySetPredicate
from policyd.models.statement import POLICY_SET_V1
from policyd.models.trust import Role, RolePolicy, TrustedKey, TrustPolicy
from policyd.policy.bundle_archive import write_archive
from policyd.policy.bundle_files import MANIFEST, SIGNATURES, make_bundle_files
from policyd.policy.bundle_signatures import render_signatures
from policyd.policy.bundle_verify import policy_set_statement
from policyd.policy.policy_set import read_policy_set
from tests.attestation.made_run import NOW, key, make_trust, trusted

EXPIRES = datetime(2027, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)

RULE = """\
# METADATA
# title: Names are short
# description: Long names are cut in lists.
# custom:
#   id: naming.long_name
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   remediation: Choose a shorter name.
#   settings:
#     max_characters:
#       type: integer
#       default: 20
#       tighter: lower
#       description: The longest name.
#     prefix:
#       type: string
#       default: a
#       tighter: none
#       description: What names start with.
package policyd.naming.long_name

import data.policyd.lib.naming

deny contains violation if {
	some i, name in input.flows
	count(name) > data.policyd.settings.naming.long_name.max_characters
	violation := {"message": naming.words(name), "at": ["flows", i]}
}
"""
LIBRARY = 'package policyd.lib.naming\n\nwords(name) := sprintf("%v is long", [name])\n'
SETTINGS = '{"long_name": {"max_characters": 12, "prefix": "é <&> \\"\\\\ \U0001f642"}}'
FOLDER = {
    "naming/long_name/long_name.rego": RULE.encode(),
    "naming/long_name/long_name_test.rego": b"package policyd.naming.long_name_test\n\ntest_a if true\n",
    "lib/naming.rego": LIBRARY.encode(),
    "collections/baseline.json": b'[\n  "naming.long_name"\n]\n',
    "README.md": b"# Ours\n",
}


def author_trust(*keys: TrustedKey, threshold: int = 1, **changes: object) -> TrustPolicy:
    """Return a trust policy whose policy authors are `keys`; the one of `key("author")` without them."""
    listed = keys or (trusted(key("author"), "ann@example.com"),)
    trust = make_trust(**changes)
    authors = RolePolicy(keys=listed, threshold=threshold, predicate_types=(POLICY_SET_V1,))
    return trust.model_copy(update={"roles": {**trust.roles, Role.POLICY_AUTHOR: authors}})


def unsigned_files(
    folder: Mapping[str, bytes] = FOLDER,
    *,
    version: int | None = 1,
    expires_at: datetime | None = EXPIRES,
    name: str = "ours",
) -> dict[str, bytes]:
    """Return the files of the bundle of `folder`, without signatures."""
    identity = BundleIdentity(name=name, version=version, expires_at=expires_at)
    return make_bundle_files(folder, read_policy_set(folder, name), identity)


def signed_files(files: Mapping[str, bytes], signer: KeyFileSigner | None = None) -> dict[str, bytes]:
    """Return `files` with OPA's signature over them."""
    return {**files, SIGNATURES: render_signatures(files, signer or key("author"))}


def attest(content: bytes, *, signer: KeyFileSigner | None = None, **changes: object) -> bytes:
    """Return the attestation that says of the bundle `content` what its manifest says, or that with fields changed."""
    from policyd.policy.bundle_archive import read_archive

    manifest = json.loads(read_archive(content, where="bundle")[MANIFEST])
    fields = {**manifest["metadata"]["policyd"], "policy_set_sha256": manifest["revision"], **changes}
    predicate = PolicySetPredicate.model_validate_json(json.dumps(fields, default=str))
    return sign_statement(policy_set_statement(predicate, sha256_hex(content)), signer or key("author"))


def signed_bundle(files: Mapping[str, bytes] | None = None, **changes: object) -> tuple[bytes, bytes]:
    """Return a bundle and its attestation. `changes` are for `unsigned_files`."""
    content = write_archive(signed_files(files or unsigned_files(**changes)), where="bundle")  # type: ignore[arg-type]
    return content, attest(content)
