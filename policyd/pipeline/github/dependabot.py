"""`.github/dependabot.yml`: which dependencies Dependabot renews, and with which credentials.

It starts no stage. Rules read `input.document`, so its shape is checked here; passwords and tokens written out in it
are variables like those of a pipeline.

Source: docs.github.com "Dependabot options reference".
"""

from __future__ import annotations

from policyd.models.base import JsonPath
from policyd.pipeline.characters import quoted
from policyd.pipeline.front_end import FrontEndRead
from policyd.pipeline.github.reader import GithubReader, Scope
from policyd.pipeline.yaml_reader import YamlDocument

_CREDENTIALS = ("username", "password", "token", "key", "auth-key")


def read_dependabot(document: YamlDocument) -> FrontEndRead:
    """Return the settings as a document with few facts. Raises `DocumentError` where they have another shape."""
    return _Dependabot(document).read()


class _Dependabot(GithubReader):
    def read(self) -> FrontEndRead:
        root = self.require_mapping(self.value, (), "`dependabot.yml`")
        if root.get("version") not in (2, "2"):
            self.refuse(f"`version` is {quoted(root.get('version'))}, not 2", ("version",))
        updates = self.require_list(root.get("updates"), ("updates",), "`updates`")
        for index, item in enumerate(updates):
            self._update(item, ("updates", index))
        for name, value in self.require_mapping(root.get("registries"), ("registries",), "`registries`").items():
            path: JsonPath = ("registries", name)
            registry = self.require_mapping(value, path, f"the registry {quoted(name)}")
            self.require_text(registry.get("type"), (*path, "type"), "`type`")
            self.require_text(registry.get("url"), (*path, "url"), "`url`")
            given = {field: registry[field] for field in _CREDENTIALS if registry.get(field) is not None}
            self.credentials(given, path, Scope())
        facts, source_map = self.book.close(self.map)
        return FrontEndRead(self.value, facts, source_map)

    def _update(self, value: object, path: JsonPath) -> None:
        if not isinstance(value, dict):
            self.refuse_shape(value, path, "an update", "mapping")
        for field in ("package-ecosystem", "directory", "insecure-external-code-execution", "target-branch"):
            self.require_text(value.get(field), (*path, field), f"`{field}`")
        self.names(value.get("directories"), (*path, "directories"))
        for field in ("schedule", "cooldown", "groups", "commit-message", "pull-request-branch-name"):
            self.require_mapping(value.get(field), (*path, field), f"`{field}`")
        for field in ("allow", "ignore", "labels", "assignees", "reviewers"):
            self.require_list(value.get(field), (*path, field), f"`{field}`")
        if value.get("registries") != "*":
            self.names(value.get("registries"), (*path, "registries"))
