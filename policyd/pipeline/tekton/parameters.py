"""What a parameter tells a task to do, by its name and value alone: tasks from elsewhere show nothing else.

Source: the parameters of git-clone, git-cli, buildah, kaniko, skopeo-copy, s2i and others of Tekton's catalog.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.pipeline.effects import FoundEffect

_OFF = frozenset(("false", "0", "no", "off"))
_ON = frozenset(("true", "1", "yes", "on"))
_VERIFIES = re.compile(
    r".{0,40}(?:ssl|tls|cert(?:ificate)?s?)[_-]?verify|(?:.{0,40}[_-])?verify[_-]?(?:ssl|tls|certs?|certificates?)",
    re.I,
)
_SKIPS = re.compile(
    r".{0,40}(?:skip[_-]?(?:ssl|tls)(?:[_-]?verify)?|(?:ssl|tls)[_-]?skip[_-]?verify"
    r"|insecure(?:[_-]?(?:registry|pull|push|registries|ssl|tls|skip[_-]?tls[_-]?verify))?|(?:ssl|tls)[_-]?no[_-]?verify)",
    re.I,
)
#: Options of programs, as they are handed on in a parameter of arguments.
_OPTIONS = re.compile(
    r"(?:^|[\s\"'])(--(?:src-|dest-)?tls-verify=(?:false|0)|--skip-tls-verify(?:-pull|-registry)?(?:=true)?"
    r"|--insecure(?:-pull|-registry|-skip-tls-verify)?(?:=(?:true|\S*[.:]\S*))?|--no-check-certificate|--no-strict-ssl)"
    r"(?=$|[\s\"'])"
)


def find_parameter_effects(name: str, value: str) -> Iterator[FoundEffect]:
    """Yield what setting the parameter `name` to `value` does."""
    setting = value.strip().lower()
    if (setting in _OFF and _VERIFIES.fullmatch(name)) or (setting in _ON and _SKIPS.fullmatch(name)):
        yield FoundEffect("tls-off", name, text=value)
    elif "--" in value and (found := _OPTIONS.search(value[:4096])):
        yield FoundEffect("tls-off", found[1], text=name)
