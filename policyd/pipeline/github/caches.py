"""Caches: which actions restore and save one, also those that do it unless told not to.

Sources: README and `action.yml` of each action; docs.github.com "Dependency caching reference".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from policyd.pipeline.references import ParsedReference


class CacheStep(NamedTuple):
    """A cache that a step restores or saves."""

    key: str
    paths: list[str]
    restores: bool
    saves: bool


Inputs = Mapping[str, str]


def _on(inputs: Inputs, name: str) -> bool:
    return inputs.get(name, "").strip().lower() not in ("", "false", "no", "0")


def _unless(name: str) -> Callable[[Inputs], bool]:
    """Return a question: caches unless the input is `false`."""
    return lambda inputs: inputs.get(name, "true").strip().lower() not in ("false", "no", "0")


def _unless_set(name: str) -> Callable[[Inputs], bool]:
    return lambda inputs: not _on(inputs, name)


def _if_set(*names: str) -> Callable[[Inputs], bool]:
    return lambda inputs: any(_on(inputs, name) for name in names)


def _always(_inputs: Inputs) -> bool:
    return True


#: Actions that cache beside what else they do, with the question whether they do it with these inputs.
CACHING: dict[str, Callable[[Inputs], bool]] = {
    "actions/setup-node": _if_set("cache"),
    "actions/setup-python": _if_set("cache"),
    "actions/setup-java": _if_set("cache"),
    "actions/setup-dotnet": _if_set("cache"),
    "actions/setup-go": _unless("cache"),
    "actions-rust-lang/setup-rust-toolchain": _unless("cache"),
    "astral-sh/setup-uv": _unless("enable-cache"),
    "hynek/setup-cached-uv": _always,
    "ruby/setup-ruby": _if_set("bundler-cache"),
    "swatinem/rust-cache": _always,
    "moonrepo/setup-rust": _unless("cache"),
    "moonrepo/setup-toolchain": _unless("cache"),
    "pnpm/action-setup": _if_set("cache"),
    "gradle/gradle-build-action": _unless_set("cache-disabled"),
    "gradle/actions/setup-gradle": _unless_set("cache-disabled"),
    "gradle/actions": _unless_set("cache-disabled"),
    "graalvm/setup-graalvm": _if_set("cache"),
    "stcarolas/setup-maven": _always,
    "subosito/flutter-action": _if_set("cache"),
    "denoland/setup-deno": _if_set("cache", "cache-hash"),
    "golangci/golangci-lint-action": _unless_set("skip-cache"),
    "pre-commit/action": _always,
    "aquasecurity/setup-trivy": _if_set("cache"),
    "aquasecurity/trivy-action": _unless("cache"),
    "docker/setup-buildx-action": _unless("cache-binary"),
    "docker/setup-qemu-action": _unless("cache-image"),
    "jdx/mise-action": _unless("cache"),
    "mlugg/setup-zig": _unless("use-cache"),
    "hendrikmuhs/ccache-action": _always,
    "mozilla-actions/sccache-action": _always,
    "julia-actions/cache": _always,
    "coursier/cache-action": _always,
    "coursier/setup-action": _unless_set("disable-default-cache"),
    "bazel-contrib/setup-bazel": _if_set("bazelisk-cache", "disk-cache", "repository-cache"),
    "determinatesystems/magic-nix-cache-action": _always,
    "nix-community/cache-nix-action": _always,
    "mamba-org/setup-micromamba": _if_set("cache-environment", "cache-downloads"),
    "prefix-dev/setup-pixi": _if_set("cache"),
    "lukka/run-vcpkg": _always,
    "awalsh128/cache-apt-pkgs-action": _always,
    "bahmutov/npm-install": _always,
    "cypress-io/github-action": _always,
    "ramsey/composer-install": _unless_set("ignore-cache"),
    "r-lib/actions/setup-r-dependencies": _always,
    "pdm-project/setup-pdm": _if_set("cache"),
    "leanprover/lean-action": _unless("use-github-cache"),
    "taiki-e/cache-cargo-install-action": _always,
    "baptiste0928/cargo-install": _always,
    "metcalfc/docker-action-cache": _always,
    "satackey/action-docker-layer-caching": _always,
}


#: Since which major version they cache without being asked to.
_SINCE = {
    "actions/setup-go": 4,
    "astral-sh/setup-uv": 5,
    "docker/setup-buildx-action": 3,
    "docker/setup-qemu-action": 3,
}
_MAJOR = re.compile(r"v?(\d{1,4})(?:\.|$)")


def _is_older(used: ParsedReference, inputs: Inputs) -> bool:
    """Say whether a version does not cache by itself yet, and is not asked to. A digest may be of any version."""
    since, major = _SINCE.get(used.slug), _MAJOR.match(used.ref)
    asked = any(name in inputs for name in ("cache", "enable-cache", "cache-binary", "cache-image"))
    return since is not None and major is not None and int(major[1]) < since and not asked


def find_cache(used: ParsedReference, inputs: Inputs) -> CacheStep | None:
    """Return the cache that an action restores or saves, `None` if none. `inputs` are named in lower case."""
    name = f"{used.owner}/{used.name}".lower()
    if used.slug == "actions/cache":
        paths = [line.strip() for line in inputs.get("path", "").splitlines() if line.strip()]
        only = used.name.lower().partition("/")[2]
        restores = only != "save"
        saves = only != "restore" and not _on(inputs, "lookup-only")
        return CacheStep(inputs.get("key", ""), paths, restores, saves)
    if used.slug in ("docker/build-push-action", "docker/bake-action"):
        restores = "type=gha" in inputs.get("cache-from", "") + inputs.get("set", "")
        saves = "type=gha" in inputs.get("cache-to", "") + inputs.get("set", "")
        return CacheStep("", [], restores, saves) if restores or saves else None
    asks = CACHING.get(name) or CACHING.get(used.slug)
    if asks is None or not asks(inputs) or _is_older(used, inputs):
        return None
    return CacheStep(
        inputs.get("cache-dependency-path", ""), [], restores=True, saves=not _on(inputs, "cache-read-only")
    )
