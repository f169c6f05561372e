"""The predicate types a person may ask for by a short word, and those nobody may make by hand."""

from __future__ import annotations

from urllib.parse import urlsplit

from policyd.errors import UsageError
from policyd.models.statement import APPROVAL_V1, CYCLONEDX, LINK_V03, PROVENANCE_V1, SPDX, TEST_RESULT_V01, VSA_V1

#: The same words as cosign's `--type`, where cosign has one. `link` is in-toto's current version.
SHORT_NAMES = {
    "slsaprovenance1": PROVENANCE_V1,
    "cyclonedx": CYCLONEDX,
    "spdx": SPDX,
    "test-result": TEST_RESULT_V01,
    "link": LINK_V03,
    "vuln": "https://cosign.sigstore.dev/attestation/vuln/v1",
    "approval": APPROVAL_V1,
}
#: Decisions and manifests are made by a run from what it saw; signed by hand they would be forgeries of one.
RUNNER_PREFIX = "https://policyd.dev/attestation/"
MAX_URI = 256


def require_predicate_type(text: str) -> str:
    """Return the predicate type URI that `text`, a short name or an https URI, means; else raise `UsageError`."""
    if text in SHORT_NAMES:
        return SHORT_NAMES[text]
    if text == APPROVAL_V1:  # policyd's own, and yet a person's word
        return text
    where = f"predicate type {text[:MAX_URI]!r}"
    if text.lower().startswith(RUNNER_PREFIX):
        raise UsageError(
            "only a policyd run makes statements of this type",
            where=where,
            fix="run the pipeline; or use a predicate type of your own",
        )
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    plain = text.isascii() and text.isprintable() and " " not in text and len(text) <= MAX_URI
    if not plain or parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(
            "this is no predicate type", where=where, fix=f"use one of {', '.join(SHORT_NAMES)}, or an https:// URI"
        )
    return text


#: Names that only a person who verifies uses: older versions that policyd reads and does not write. As cosign's.
_READ_NAMES = {
    "slsaprovenance": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance02": "https://slsa.dev/provenance/v0.2",
    "spdxjson": SPDX,
    "openvex": "https://openvex.dev/ns",
    "vsa": VSA_V1,
    "pypi-publish": "https://docs.pypi.org/attestations/publish/v1",
    "npm-publish": "https://github.com/npm/attestation/tree/main/specs/publish/v0.1",
}


def read_asked_type(text: str) -> str:
    """Return the predicate type that somebody who verifies asks for, by a short name or a URI; else `UsageError`.

    A run's own types may be asked for, though nobody may make them by hand.
    """
    if text in _READ_NAMES:
        return _READ_NAMES[text]
    return text if text.startswith(RUNNER_PREFIX) and len(text) <= MAX_URI else require_predicate_type(text)
