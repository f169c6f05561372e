"""Policy sets as operators name them: the library, a folder, or a signed bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from policyd.adapters.library import library_files, read_policy_folder
from policyd.adapters.settings import Authority
from policyd.errors import PolicyError, SettingsError
from policyd.policy.policy_set import PolicySet, read_policy_set

BUNDLE_SUFFIX = ".tar.gz"


def load_policy_set(
    path: Path | None, authority: Authority | None, *, now: datetime, prefix: str = "policyd"
) -> PolicySet:
    """Return the policy set at `path` for a gate; the library that comes with policyd where it is None.

    `path` is absolute: a folder, or a signed bundle, which is verified against the trust policy of `authority`, as of
    `now`, and remembered by name and version in the operator's state folder. A module may declare only packages below
    `prefix`. Raises `VerificationFailed` for a bundle that does not hold, `PolicyError` for a set that can't be used.
    """
    if path is None:
        return read_policy_set(library_files(), name="policyd-library")
    if not path.is_absolute():
        raise SettingsError("the path of the policy set is not absolute", where=str(path), fix="write it in full")
    if is_bundle(path):
        # Imported here: most gates read folders, and all that verifies a bundle takes 20 ms.
        from policyd.app.bundled_sets import load_bundled_set

        with _named_places(path):
            return load_bundled_set(path, authority, now=now, prefix=prefix)
    files = read_policy_folder(path)
    with _named_places(path):
        return read_policy_set(files, name=path.name, prefix=prefix)


def is_bundle(path: Path) -> bool:
    """Say whether `path` names a bundle and not a folder."""
    return path.name.endswith(BUNDLE_SUFFIX) and not path.is_dir()


@contextmanager
def _named_places(path: Path) -> Iterator[None]:
    """Put the path of the folder or bundle before places inside the policy set."""
    try:
        yield
    except PolicyError as error:
        where = error.where
        if where == path.name:
            where = str(path)
        elif not where.startswith(str(path)):
            where = f"{path}/{where}"
        raise PolicyError(error.cause, where=where, fix=error.fix) from error
