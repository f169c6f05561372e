"""What commands share that take an image in a registry where they take a file: oci://REGISTRY/REPOSITORY@sha256:HEX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from policyd.cli.options import password_from_environment_or_prompt

if TYPE_CHECKING:
    from policyd.app.image_signing import Destination, Said, SignedImage
    from policyd.app.keyless import Keyless
    from policyd.attestation.image_reference import ImageReference

F = TypeVar("F", bound=Callable[..., Any])


class PathOrImage(click.Path):
    """A path; or, where it begins with oci://, an image by its digest."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return an `ImageReference` or a `Path`."""
        if isinstance(value, str) and value.startswith("oci:"):
            from policyd.attestation.image_reference import read_image_reference

            return read_image_reference(value)
        return super().convert(value, param, ctx)


def allow_http_option(command: F) -> F:
    """Let a registry elsewhere be spoken to without TLS."""
    return click.option(
        "--allow-http-registry",
        "allow_http",
        is_flag=True,
        help="Speak to the registry without TLS, and without credentials. One on this machine needs no leave.",
    )(command)


def push_options(command: F) -> F:
    """Take where the bundle of an image goes."""
    push = click.option("--push", is_flag=True, help="For an image: put the bundle beside it, into its registry.")
    return allow_http_option(push(command))


def sign_image_command(
    reference: ImageReference,
    said: Said,
    *,
    verb: str,
    key: str | None,
    keyless: Keyless | None,
    to: Destination,
    timestamp: tuple[str | None, Path | None],
    settings: Path | None,
) -> int:
    """Sign something said about an image, print what was done, and return the exit code."""
    from policyd.adapters import clock
    from policyd.app.image_signing import by_identity, by_key, require_destination, sign_image
    from policyd.report.text import show

    require_destination(reference, to)  # before a passphrase is asked for
    if keyless is not None:
        make = by_identity(keyless, now=clock.now)
    else:
        assert key is not None
        from policyd.app.keys import find_role_keys
        from policyd.app.signing import find_stamping

        make = by_key(
            key,
            said.predicate_type,
            password=lambda: password_from_environment_or_prompt(f"Passphrase of {show(key)}"),
            taken=find_role_keys(settings),
            stamping=find_stamping(*timestamp, settings),
        )
    _show_signed(sign_image(reference, said, make=make, to=to, now=clock.now), verb)
    return 0


def refuse_registry_options(file: Path, *, allow_http: bool) -> None:
    """Raise `UsageError` for an option about registries where none is asked: it would look as if it counted."""
    from policyd.errors import UsageError

    if allow_http:
        raise UsageError(
            "there is no registry to speak to",
            where=f"--allow-http-registry, with {file}",
            fix="leave it out, or name an image, oci://REGISTRY/REPOSITORY@sha256:HEX",
        )


def require_bundle_of_file(file: Path, bundle: Path | None, *, push: bool, allow_http: bool) -> Path:
    """Return where the bundle of a file is written; `UsageError` for what only an image has."""
    from policyd.errors import UsageError

    refuse_registry_options(file, allow_http=allow_http)
    if push:
        raise UsageError(
            "only the bundle of an image is pushed, and this is a file",
            where=str(file),
            fix="name an image, oci://REGISTRY/REPOSITORY@sha256:HEX; or write the bundle with --bundle FILE",
        )
    if bundle is None:
        raise UsageError("it isn't said where the bundle is written", where="--bundle", fix="add --bundle FILE")
    return bundle


def _show_signed(signed: SignedImage, verb: str) -> None:
    from policyd.report.text import show

    made = signed.made
    lines = [(verb, show(str(signed.reference))), ("type", show(signed.predicate_type))]
    if made.key_sha256 is not None:
        lines.append(("key", f"sha256:{made.key_sha256}"))
    if made.stamped is not None:
        lines.append(("time", f"{made.stamped.moment.isoformat()}, says {show(made.stamped.authority)}"))
    if made.found is not None and made.found.signer is not None:
        lines += [("signer", show(made.found.signer.identity or "")), ("issuer", show(made.found.signer.issuer or ""))]
        lines += [("log", f"entry {index} of {show(url)}") for url, index in made.found.log_entries]
    if signed.bundle is not None:
        lines.append(("bundle", show(str(signed.bundle))))
    if signed.pushed is not None:
        lines.append(("pushed", f"{show(signed.reference.name)}@{signed.pushed}"))
    for name, text in lines:
        click.echo(f"{name:<8}  {text}")
