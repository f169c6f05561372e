"""Containers that get powers, sockets or folders of the host, and images by names that can change."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.tables import words

ENGINES = frozenset(("docker", "podman", "nerdctl"))
IMAGE_TOOLS = ENGINES | {"buildah"}
_POWERS = re.compile(
    r"--privileged(?:=true)?\Z"
    r"|--cap-add=(?:ALL|all|(?:CAP_)?SYS_ADMIN|(?:CAP_)?SYS_PTRACE|(?:CAP_)?SYS_MODULE)\Z"
    r"|--(?:pid|ipc|userns|uts|cgroupns)=host\Z"
    r"|--security-opt=(?:seccomp|apparmor)[=:]unconfined\Z"
    r"|--security-opt=label[=:]disable\Z"
    r"|--device=/dev/(?:mem|kmem|sd\w*|nvme\w*)",
)
_TAKES_WORD = (
    "--cap-add",
    "--pid",
    "--ipc",
    "--userns",
    "--uts",
    "--security-opt",
    "--device",
    "-v",
    "--volume",
    "--mount",
)
_SOCKET = re.compile(r"(?:docker|containerd|podman|crio)[a-z-]*\.sock")
_HOST_FOLDER = re.compile(r"/(?:(?:etc|root|proc|sys|dev|boot|run|var/run|var/lib/(?:docker|kubelet|containers))/?)?\Z")
_OPTIONS_WITH_VALUE = words(
    """
    -e --env --env-file -v --volume --mount -w --workdir -u --user -p --publish --name --network --net --entrypoint
    -m --memory --cpus --platform --hostname -h --add-host --label -l --link --cap-add --cap-drop --device --gpus
    --pid --ipc --userns --uts --security-opt --shm-size --ulimit --tmpfs --restart --pull --dns --log-driver
    --log-opt --cidfile --group-add --health-cmd --expose --runtime --volumes-from --stop-timeout --sysctl
    --cgroup-parent --cpuset-cpus -a --attach --init-path --network-alias --ip --mac-address
    """
)


def find_container_effects(options: str, volumes: Sequence[str], *, privileged: bool) -> Iterator[FoundEffect]:
    """Yield what a container that runs a stage or beside it may do: its options and volumes as written."""
    words = _words(options)
    power = "--privileged" if privileged else next((word for word in words if _POWERS.match(word)), "")
    if power and not any(word in ("--privileged=false",) for word in words if power == "--privileged"):
        yield FoundEffect("privileged-container", power, text=options)
    for volume in [*volumes, *_volumes(words)]:
        found = _mount(volume)
        if found:
            yield FoundEffect(found, volume, text=options or volume)  # type: ignore[arg-type]  # one of two kinds


def find_engine_use(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what a command of a container engine does with the host, and images it takes by name."""
    if seen.program == "buildah":
        if seen.verb in ("from", "pull") and (image := _image(seen.args, seen.verb)):
            yield from _unpinned(seen, image)
        return
    if seen.program not in ENGINES:
        return
    verbs = seen.operands(_OPTIONS_WITH_VALUE)
    verb = verbs[1] if verbs[:1] in (["container"], ["image"], ["compose"]) and len(verbs) > 1 else seen.verb
    if verb in ("run", "create", "exec"):
        words = _joined(_options_of(seen.args, verb))
        power = next((word for word in words if _POWERS.match(word)), "")
        if power:
            yield seen.found("privileged-container", power)
        for volume in _volumes(words):
            found = _mount(volume)
            if found:
                yield seen.found(found, volume)  # type: ignore[arg-type]  # one of two kinds
    elif verb in ("build", "buildx") and "--allow" in seen.command.text and "security.insecure" in seen.command.text:
        yield seen.found("privileged-container", "security.insecure")
    if verb in ("run", "create", "pull"):
        image = _image(seen.args, verb)
        if image:
            yield from _unpinned(seen, image)


def find_moving_image(argv: Sequence[str]) -> str:
    """Return the image that a command of a container engine runs or fetches, if its name can change; else ""."""
    verb = next((word for word in argv[1:3] if word in ("run", "create", "pull")), "")
    if not verb or argv[0] not in ENGINES:
        return ""
    image = _image(argv, verb)
    moves = image and "@sha256:" not in image and not re.search(r"[$`%{]", image)
    return image if moves and not image.startswith(("./", "localhost", "-")) else ""


def _image(args: Sequence[str], verb: str) -> str:
    index = args.index(verb) + 1 if verb in args else len(args)
    while index < len(args) and args[index].startswith("-"):
        index += 2 if args[index] in _OPTIONS_WITH_VALUE else 1
    return args[index] if index < len(args) else ""


def _options_of(args: Sequence[str], verb: str) -> Sequence[str]:
    """Return the words before the image: what follows it belongs to the program inside."""
    index = args.index(verb) + 1 if verb in args else 0
    start = index
    while index < len(args) and args[index].startswith("-"):
        index += 2 if args[index] in _OPTIONS_WITH_VALUE else 1
    return args[start:index]


def _unpinned(seen: Seen, image: str) -> Iterator[FoundEffect]:
    name = image.partition("://")[2] or image
    if (
        "@sha256:" in name
        or (re.search(r"[$`%{]", name) and not _NEWEST.match(name))
        or name == "scratch"
        or name.startswith(("./", "localhost", "-"))
    ):
        return
    plain = name.partition(":")[0]
    for other in [*seen.before(), *seen.after()]:
        if other.program in ENGINES and other.argv[1:2] in (["load"], ["import"]):
            return
        # Made in the same script: what it names is known.
        if (
            other.program in ENGINES and not {"build", "buildx", "tag", "load", "import"}.isdisjoint(other.argv)
        ) and any(plain in word for word in other.argv):
            return
    yield seen.found("unpinned-image", image, confidence="high" if "/" in name or seen.verb == "pull" else "medium")


#: Whichever image it is, the tag moves.
_NEWEST = re.compile(r"[\w./:-]*\$(?:\w+|\{\w+\})[\w./-]*:latest\Z")


def _words(options: str) -> list[str]:
    try:
        words = shlex.split(options)
    except ValueError:
        words = [word.strip("'\"") for word in options.split()]
    return _joined(words)


def _joined(words: Sequence[str]) -> list[str]:
    """Return options with their value joined by `=`, whichever way they are written."""
    found: list[str] = []
    after = ""
    for word in words:
        if after:
            found.append(f"{after}={word}")
            after = ""
        elif word in _TAKES_WORD:
            after = word
        else:
            found.append(word)
    return found


def _volumes(words: Sequence[str]) -> list[str]:
    return [word.partition("=")[2] for word in words if word.startswith(("-v=", "--volume=", "--mount="))]


def _mount(volume: str) -> str:
    if _SOCKET.search(volume):
        return "host-socket"
    source = volume
    if "=" in volume:
        source = next(
            (part.partition("=")[2] for part in volume.split(",") if part.startswith(("src=", "source="))), ""
        )
    else:
        source = volume.partition(":")[0] if not re.match(r"[A-Za-z]:[\\/]", volume) else volume[:2]
    return "host-mount" if _HOST_FOLDER.match(source) or re.match(r"[Cc]:\Z", source) else ""
