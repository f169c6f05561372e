"""Which files a policy bundle holds: those that the digest of the policy set covers, and what OPA needs to read them.

Modules, collections, settings and known facts stand in it byte for byte under their own paths, so the folder comes
back out with the same digest. OPA reads none of these files but the modules; for it `data.json` holds the known facts
and the value of every setting, also of those that only have the default in the rule's METADATA. A stock OPA therefore
answers as policyd does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from policyd.errors import PolicydError, PolicyError
from policyd.models.canonical import canonical_json
from policyd.models.policy_bundle import BundleIdentity, BundleManifest, BundleMetadata
from policyd.models.strict_json import read_model
from policyd.policy.policy_files import NAMED_BY_DIGEST, digest_policy_files, kind_of
from policyd.policy.policy_set import PolicySet, read_policy_set

MANIFEST = ".manifest"
SIGNATURES = ".signatures.json"
DATA = "data.json"
MAX_MANIFEST_BYTES = 16 * 1024
MAX_MANIFEST_DEPTH = 8


@dataclass(frozen=True, slots=True)
class BundleContent:
    """What a bundle holds: its manifest, the files of the policy folder it was made of, and the data for OPA."""

    manifest: BundleManifest
    files: Mapping[str, bytes]  # path in the folder → content
    data: bytes

    @property
    def identity(self) -> BundleIdentity:
        """Name, version and expiry as the manifest gives them."""
        return self.manifest.metadata.policyd

    @property
    def prefix(self) -> str:
        """The package below which all its modules lie."""
        return self.manifest.roots[0].replace("/", ".")


def make_bundle_files(files: Mapping[str, bytes], policy_set: PolicySet, identity: BundleIdentity) -> dict[str, bytes]:
    """Return the files of the bundle (path → content) of the folder `files`, which was read as `policy_set`."""
    root = policy_set.prefix.replace(".", "/")
    manifest = BundleManifest(
        revision=policy_set.sha256, roots=(root,), rego_version=1, metadata=BundleMetadata(policyd=identity)
    )
    kept = {path: content for path, content in files.items() if kind_of(path) in NAMED_BY_DIGEST}
    return {**kept, MANIFEST: manifest.to_json(), DATA: _render_data(policy_set)}


def read_bundle_files(bundle: Mapping[str, bytes], *, where: str) -> BundleContent:
    """Return what the files of a bundle hold, signatures aside.

    Raises `PolicyError` for a manifest that is missing, says more than policyd writes or names another policy set than
    the files make, and for a file that no policy set has.
    """
    # 1. The manifest: closed, and in its one spelling.
    for path in (MANIFEST, DATA):
        if path not in bundle:
            raise _refused(f"it has no {path}", where)
    place = f"{where}, {MANIFEST}"
    try:
        manifest = read_model(
            BundleManifest, bundle[MANIFEST], where=place, max_bytes=MAX_MANIFEST_BYTES, max_depth=MAX_MANIFEST_DEPTH
        )
    except PolicydError as error:
        raise PolicyError(error.cause, where=error.where, fix=error.fix) from error
    if manifest.to_json() != bundle[MANIFEST]:
        raise _refused("the manifest is not written as policyd writes it", place)

    # 2. Every file is one that a policy set has.
    files = {path: content for path, content in bundle.items() if path not in (MANIFEST, SIGNATURES, DATA)}
    for path in files:
        if kind_of(path) not in NAMED_BY_DIGEST:
            raise _refused(f"{path!r} is neither a rule nor its data", where)

    # 3. Together they are the policy set that the manifest names.
    if digest_policy_files(files) != manifest.revision:
        raise _refused("its files are not the policy set that its manifest names", where)
    return BundleContent(manifest, files, bundle[DATA])


def read_bundled_set(content: BundleContent, *, where: str, prefix: str) -> PolicySet:
    """Return the policy set in a bundle; `PolicyError` where it can't be used, or not below `prefix`."""
    # 1. Made for this place: packages below another prefix belong to another layer.
    if content.prefix != prefix:
        raise PolicyError(
            f"the bundle's packages lie below {content.prefix!r}, not below {prefix!r}",
            where=where,
            fix="name a bundle that was made for this place, or correct the prefix",
        )
    # 2. Rules and data that can be used.
    policy_set = read_policy_set(content.files, content.identity.name, prefix=prefix)
    # 3. What OPA reads is what policyd reads.
    if content.data != _render_data(policy_set):
        raise PolicyError(
            f"its {DATA} is not what its settings make: OPA would answer with other values than policyd",
            where=where,
            fix="bundle the policy set again with this policyd, and sign it",
        )
    return policy_set


def _render_data(policy_set: PolicySet) -> bytes:
    return canonical_json(policy_set.data)


def _refused(cause: str, where: str) -> PolicyError:
    return PolicyError(
        f"this is no policy bundle: {cause}",
        where=where,
        fix="make it with `policyd policy bundle`, and hand it on unchanged",
    )
