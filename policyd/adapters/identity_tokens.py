"""Where identity tokens come from: a file, the CI system that policyd runs in, or a person at a browser.

A token is never an argument of a command, where every user of the machine can read it, and it is never handed to a
program that policyd starts other than the process that signs.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from policyd.adapters.output import read_input
from policyd.attestation.keyless.client_config import ClientConfig
from policyd.attestation.keyless.token import AUDIENCE, MAX_TOKEN_CHARACTERS, looks_like_token
from policyd.errors import KeylessError, TokenUnusable, UsageError

#: Where GitLab puts a token that a job asked for (`id_tokens: SIGSTORE_ID_TOKEN: aud: sigstore`).
GITLAB_VARIABLE = "SIGSTORE_ID_TOKEN"
_HTTPS = re.compile(r"https://[^/?#@\s]+[/?]", re.ASCII)


def read_token_file(name: str) -> str:
    """Return the token in the file `name`, or on stdin for `-`. Raises `UsageError` for a token in place of a name."""
    if looks_like_token(name):
        raise UsageError(
            "the identity token itself was given: other users can read the arguments of a command",
            where="--identity-token",
            fix="write it to a file that only you can read, or to stdin with `--identity-token -`; get a new one",
        )
    if name == "-":
        content = sys.stdin.buffer.read(MAX_TOKEN_CHARACTERS + 1)
    else:
        content = read_input(Path(name), max_bytes=MAX_TOKEN_CHARACTERS)
    return content.decode("ascii", "replace")


def find_ambient_token() -> tuple[str, str] | None:
    """Return the token of the job that policyd runs in and where it is from, None outside of GitHub's and GitLab's.

    Raises `TokenUnusable` where the job was not allowed one, `KeylessError` where GitHub does not give it.
    """
    # sigstore's own look-out goes on to Google's metadata service and to programs in the caller's PATH.
    if os.environ.get("GITHUB_ACTIONS"):
        return _ask_github(), "the token of this GitHub workflow"
    if os.environ.get("GITLAB_CI"):
        token = os.environ.get(GITLAB_VARIABLE)
        if not token:
            raise TokenUnusable(
                "this GitLab job has no identity token",
                where=GITLAB_VARIABLE,
                fix=f"add `id_tokens: {{{GITLAB_VARIABLE}: {{aud: {AUDIENCE}}}}}` to the job",
            )
        return token, f"the token in {GITLAB_VARIABLE}"
    return None


def log_in(config: ClientConfig) -> str:
    """Return the token that a person gets by logging in at a browser, with the provider that the trust config names."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "nobody can log in: there is no terminal", where="--browser", fix="use --identity-token FILE instead"
        )
    from requests import RequestException
    from sigstore.errors import Error
    from sigstore.models import ClientTrustConfig
    from sigstore.oidc import Issuer, IssuerError

    try:
        signing = ClientTrustConfig.from_json(config.content.decode()).signing_config
        return str(Issuer(signing.get_oidc_url()).identity_token())
    except (Error, IssuerError, RequestException, ValueError, KeyError) as error:
        raise KeylessError(
            f"logging in gave no identity token ({type(error).__name__})",
            where="--browser",
            fix="try again; the trust config must name the identity provider (signingConfig.oidcUrls)",
        ) from None  # its words may have what the provider answered


def _ask_github() -> str:
    from sigstore.oidc import IdentityError, detect_credential

    if not os.environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN"):
        raise TokenUnusable(
            "this GitHub job may not have an identity token",
            where="ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            fix="add `permissions: {id-token: write}` to the job; pull requests from forks get none",
        )
    # The token that asks is a secret too.
    if _HTTPS.match(os.environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")) is None:
        raise TokenUnusable(
            "GitHub's address for identity tokens is no https:// address",
            where="ACTIONS_ID_TOKEN_REQUEST_URL",
            fix="leave the variable as GitHub sets it",
        )
    try:
        token = detect_credential(AUDIENCE)
    except IdentityError:
        token = None
    if token is None:
        raise KeylessError(
            "GitHub gives no identity token",
            where="ACTIONS_ID_TOKEN_REQUEST_URL",
            fix="run the job again, and see whether GitHub has a disturbance",
        )
    return token
