"""The keyless signing process: one token, one thing to sign, one answer.

It is started by file path in Python's isolated mode, with the folders that modules come from as its argument, and told
the rest on stdin, so that the token is in no list of processes and no environment. What it has of its own is a key that
is made here and ends with it. Whatever the services do (hang, answer for ever, answer with nonsense) ends here too.
"""

from __future__ import annotations

import base64
import json
import resource
import signal
import sys
from typing import Any

MAX_MEMORY_BYTES = 1024**3  # 80 MB, and some ten copies of the largest statement
_TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"  # the one that sigstore 4.5.1 reads
_WORDS = {
    "ExpiredCertificate": "the certificate that came back has ended already",
    "InvalidBundle": "what the services answered makes no valid bundle: a proof or a timestamp is missing or wrong",
    "MemoryError": "a service's answer is too large",
    "ValidationError": "a service's answer, or the trust config, does not have the form it should",
    "VerificationError": "no pinned certificate log vouches for the certificate that came back",
}


def main() -> None:
    """Answer on stdout: the bundle, or why there is none."""
    sys.path[:] = json.loads(sys.argv[1])
    from policyd.adapters.signers.signing_worker import lock_down

    if sys.platform == "linux":
        lock_down()
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    asked = json.load(sys.stdin)
    signal.alarm(asked["seconds"])  # also where policyd itself is gone
    try:
        answer = sign(asked)
    # The outermost loop: sigstore raises its own, requests', pydantic's and more.
    except Exception as error:  # noqa: BLE001  # none of them may reach stderr with the token
        answer = {"failed": describe(error, asked["config"])}
    json.dump(answer, sys.stdout)


def sign(asked: dict[str, Any]) -> dict[str, object]:
    """Return the bundle, and how many timestamps were asked for."""
    from sigstore.dsse import Statement
    from sigstore.hashes import Hashed
    from sigstore.models import ClientTrustConfig
    from sigstore.oidc import IdentityToken
    from sigstore.sign import SigningContext
    from sigstore_models.common.v1 import HashAlgorithm

    said = json.loads(asked["config"])
    # sigstore takes the certificate logs from it, which are alike in every version; policyd verifies with the rest.
    said["trustedRoot"]["mediaType"] = _TRUSTED_ROOT
    config = ClientTrustConfig.from_json(json.dumps(said))
    context = SigningContext.from_trust_config(config)
    with context.signer(IdentityToken(asked["token"], asked["audience"])) as signer:
        if "statement" in asked:
            bundle = signer.sign_dsse(Statement(base64.b64decode(asked["statement"])))
        else:
            digest = bytes.fromhex(asked["sha256"])
            bundle = signer.sign_artifact(Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest))
    return {"bundle": bundle.to_json(), "stamps": len(config.signing_config.get_tsas())}


def describe(error: BaseException, config: str) -> str:
    """Return what went wrong in words of our own: what a service answers may repeat the token."""
    from urllib.parse import urlsplit

    from requests import RequestException

    kinds = []
    found: BaseException | None = error
    while found is not None:
        kinds.append(type(found).__name__)
        if isinstance(found, RequestException):
            parts = urlsplit("" if found.request is None else str(found.request.url))
            service = f"{parts.scheme}://{parts.netloc}"
            where = f" at {service}" if service in config else ""  # an address that a service led to is its text
            if found.response is not None:
                return f"the service{where} answers {found.response.status_code}"
            return f"the service{where} can't be reached ({kinds[-1]})"
        # sigstore leaves the cause of some errors in their arguments.
        inner = next((one for one in found.args if isinstance(one, BaseException)), None)
        found = found.__cause__ or inner or found.__context__
    if kinds[0] in _WORDS:
        return _WORDS[kinds[0]]
    return f"sigstore says {' from '.join(kinds)}"


if __name__ == "__main__":
    main()
