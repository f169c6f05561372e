"""What surrounds a script in a pod of Tekton: images, what a container may do, volumes, variables and secrets.

Source: kubernetes.io "Pod Security Standards".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from policyd.models.base import JsonPath
from policyd.pipeline.effects import FoundEffect
from policyd.pipeline.source_map import SourceMap, Spot
from policyd.pipeline.tekton.marks import find_marks
from policyd.pipeline.tekton.objects import Part
from policyd.pipeline.tekton.origins import Origin
from policyd.pipeline.tekton.reader import Scope, TektonReader
from policyd.pipeline.tekton.references import parse_image

NO_PARTS: Mapping[str, Part] = {}
#: Before the name of a secret all of whose entries are variables.
WHOLE_MARK = "*"


class Environment(NamedTuple):
    """Variables of a container that matter: what each holds of an outsider, and which hold secrets."""

    origins: Mapping[str, Origin]
    secrets: frozenset[str]

    @property
    def tainted(self) -> frozenset[str]:
        """The names of variables that hold an outsider's text."""
        return frozenset(name for name, origin in self.origins.items() if origin.text)


class ContainerReader(TektonReader):
    """Reads what steps and sidecars have besides what they run."""

    def __init__(self, path: str, source_map: SourceMap, *, templates: bool) -> None:
        super().__init__(path, source_map, templates=templates)
        self.secret_volumes: set[str] = set()  # by name
        self._images: set[tuple[JsonPath, str]] = set()  # those that parameters name, by where they are written

    def both(self, key: str, own: Mapping[str, Part], template: Mapping[str, Part] = NO_PARTS) -> list[Part]:
        """Return the parts of a list that a step has together with `stepTemplate`."""
        return [*self.items(template.get(key), f"`{key}`"), *self.items(own.get(key), f"`{key}`")]

    def image(self, part: Part, scope: Scope) -> str:
        """Write down an image; return its name as far as the file says it."""
        text = self.text(part, "`image`")
        self.expressions(part, scope, "reference")
        origin = self.origin_of_text(text, scope)
        image = text if origin.value is None else origin.value
        if image:
            # Where it is written is where it can be pinned: the parameter that it is given or has by default.
            place = Part(image, origin.at) if origin.at and origin.value is not None else part
            if place is part or (origin.at, image) not in self._images:
                self._images.add((origin.at, image))
                self.reference(parse_image(image), place, scope)
        return image

    def powers(
        self, part: Part | None, seen: set[JsonPath], template: Part | None = None
    ) -> tuple[list[tuple[FoundEffect, Spot]], str]:
        """Return what a security context grants beyond a container's own, each with its place, and it as options.

        What it leaves open is as the `template` says. What stands there counts once, however many steps use it.
        """
        if part is None and template is None:
            return [], ""
        fields = self.entries(template, "`securityContext`") | self.entries(part, "`securityContext`")
        found: list[tuple[FoundEffect, Part]] = []
        options = []
        privileged = fields.get("privileged")
        if privileged is not None and privileged.value is True:
            found.append((FoundEffect("privileged-container", "privileged", text="privileged: true"), privileged))
            options.append("--privileged")
        capabilities = fields.get("capabilities")
        for item in self.items(self.below(capabilities, "`capabilities`", "add"), "`add`"):
            capability = self.text(item, "a capability").upper().removeprefix("CAP_")
            options.append(f"--cap-add={capability}")
            if capability in _POWERFUL:
                found.append(
                    (FoundEffect("privileged-container", capability, text=f"capabilities: {capability}"), item)
                )
        for kind, value in (("seccompProfile", "Unconfined"), ("appArmorProfile", "Unconfined")):
            profile = self.below(fields.get(kind), f"`{kind}`", "type")
            if profile is not None and profile.value == value:
                text = f"{kind}: {value}"
                found.append((FoundEffect("privileged-container", kind, text=text, confidence="medium"), profile))
                options.append(f"--security-opt={'seccomp' if kind == 'seccompProfile' else 'apparmor'}=unconfined")
        user = fields.get("runAsUser")
        if user is not None and user.value in (0, "0"):
            found.append((FoundEffect("root-container", "0", text="runAsUser: 0"), user))
            options.append("--user=0")
        new = [(effect, Spot(place.path)) for effect, place in found if place.path not in seen]
        seen.update(place.path for _, place in found)
        return new, " ".join(options)

    def volumes(self, part: Part | None, scope: Scope) -> dict[str, str]:
        """Write down volumes; return for each, by name, the folder of the host that it is, "" if it is none."""
        volumes = {}
        for name, fields, item in self.named(part, "`volumes`"):
            self.all_expressions(item, scope, "other")
            host = self.below(fields.get("hostPath"), "`hostPath`", "path")
            path = self.text(host, "`path`")
            if host is not None and path:
                known = self.origin_of_text(path, scope).value or path
                self.effects([_host_effect(known)], host, scope)
                path = known
            self._secret_volume(fields, scope)
            volumes[name] = path
            if "secret" in fields:
                self.secret_volumes.add(name)
        return volumes

    def _secret_volume(self, fields: Mapping[str, Part], scope: Scope) -> None:
        named = self.below(fields.get("secret"), "`secret`", "secretName")
        if named is not None:
            self.secret(self.text(named, "`secretName`"), Spot(named.path), scope, "other")
        projected = self.below(fields.get("projected"), "`projected`", "sources")
        for source in self.items(projected, "`sources`"):
            name = self.below(source, "a source", "secret", "name")
            if name is not None:
                self.secret(self.text(name, "`name`"), Spot(name.path), scope, "other")
        csi = fields.get("csi")
        driver = self.below(csi, "`csi`", "driver")
        if csi is not None and driver is not None and "secrets-store" in self.text(driver, "`driver`"):
            provider = self.below(csi, "`csi`", "volumeAttributes", "secretProviderClass")
            self.secret(self.text(provider, "a name") or "secrets-store", Spot((provider or csi).path), scope, "other")

    def environment(
        self, variables: Sequence[Part], sources: Sequence[Part], scope: Scope, seen: set[JsonPath]
    ) -> Environment:
        """Write down the variables of a container: `env` one by one, and what `envFrom` takes as a whole.

        What stands in a template is written down once, however many steps use it.
        """
        origins: dict[str, Origin] = {}
        secrets: set[str] = set()
        for item in variables:
            entry = self.entries(item, "a variable")
            name = self.text(entry.get("name"), "`name`")
            if not name:
                self.refuse("a variable has no `name`", item)
            value, source = entry.get("value"), entry.get("valueFrom")
            secret_ref = self.below(source, "`valueFrom`", "secretKeyRef")
            text = self.text(value, "`value`")
            origin = self.origin_of_text(text, scope)
            origins[name] = origin
            if secret_ref is not None:
                secrets.add(name)
            if item.path in seen:
                continue
            seen.add(item.path)
            if value is not None:
                self.expressions(value, scope, "environment")
            if source is not None:
                self.all_expressions(source, scope, "environment")
            if secret_ref is not None:
                named = self.below(secret_ref, "`secretKeyRef`", "name")
                self.secret(self.text(named, "`name`") or name, Spot((named or secret_ref).path), scope, "environment")
            self.book.variable(
                name,
                text,
                Spot((value or item).path),
                scope.around(),
                literal=source is None and not find_marks(text, templates=self.templates),
                untrusted=bool(origin.text),
                secret=secret_ref is not None,
            )
        for item in sources:
            named = self.below(item, "`envFrom`", "secretRef", "name")
            if named is not None:
                name = self.text(named, "`name`")
                self.secret(name, Spot(named.path), scope, "environment")
                # The names of its variables stand in the secret alone; no variable has this one.
                secrets.add(f"{WHOLE_MARK}{name}")
        return Environment(origins, frozenset(secrets))


#: Capabilities that give the host away, or nearly.
_POWERFUL = frozenset(
    (
        "ALL",
        "SYS_ADMIN",
        "SYS_MODULE",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_BOOT",
        "DAC_READ_SEARCH",
        "NET_ADMIN",
        "BPF",
        "PERFMON",
        "MKNOD",
    )
)
_SOCKET = re.compile(r"(?:docker|containerd|podman|crio|cri-dockerd)[a-z-]*\.sock|/var/run/?$|^/run/?$")
_PLAIN_FOLDER = re.compile(r"^/(?:tmp|mnt|data|cache|srv)(?:/|$)")


def _host_effect(path: str) -> FoundEffect:
    if _SOCKET.search(path):
        return FoundEffect("host-socket", path, text=f"hostPath: {path}")
    confidence = "medium" if _PLAIN_FOLDER.match(path) else "high"
    return FoundEffect("host-mount", path, text=f"hostPath: {path}", confidence=confidence)  # type: ignore[arg-type]  # one of both
