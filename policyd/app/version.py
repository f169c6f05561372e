"""What `policyd --version` says."""

from __future__ import annotations

from importlib.metadata import version

from policyd import __version__


def describe_version() -> str:
    """Name policyd, the embedded engine and the rule library by version and digest."""
    from policyd.adapters.library import library_files
    from policyd.policy.policy_files import digest_policy_files

    digest = digest_policy_files(library_files())
    return f"policyd {__version__} (regorus {version('gordon-to-regorus')}, library {digest[:12]})"
