"""The options that `policyd sign` and `policyd attest` share: who signs, where the bundle goes, who says when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from policyd.cli.images import push_options
from policyd.cli.keyless_options import keyless_options
from policyd.cli.options import settings_option, timestamp_options

F = TypeVar("F", bound=Callable[..., Any])


def signing_options(command: F) -> F:
    """`--key` or `--keyless`, `--bundle` and `--push`, timestamps and settings."""
    key = click.option("--key", metavar="FILE|URI", help="Private key: a file, or the URI of a KMS or HSM key.")
    bundle = click.option("--bundle", type=click.Path(path_type=Path), help="Where the Sigstore bundle is written.")
    return key(bundle(push_options(timestamp_options(keyless_options(settings_option(command))))))
