"""What is said to the signing process, and how: frames of JSON, each of a kind that is listed here.

There is no request that carries bytes to sign. A frame is a length (4 bytes, big endian) and that many bytes.
"""

from __future__ import annotations

import socket
import struct
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from policyd.attestation.summary import Summarised
from policyd.errors import SigningFailed
from policyd.models.base import Model, RunId, Sha256
from policyd.models.decision import Decision
from policyd.models.manifest import Manifest, Product, StageRecord
from policyd.models.plan import Plan
from policyd.models.settings import RoleKeys
from policyd.models.trust import TrustPolicy

MAX_FRAME_BYTES = 256 * 1024 * 1024  # an SBOM of 64 MB with everything around it
_LENGTH = struct.Struct(">I")


class Open(Model):
    """Load the runner's keys. The answer is `Opened`, after one `PassphraseWanted` for each key that wants one."""

    do: Literal["open"] = "open"
    keys: RoleKeys
    trust: TrustPolicy
    verifier_id: str
    settings: str  # the file that names the keys, for messages
    password_command: tuple[str, ...]
    environment: dict[str, str]  # what the clients of key URIs need to know who they are
    stamps: bool = False  # whether every signature gets a timestamp
    now: AwareDatetime


class Passphrase(Model):
    """The answer to `PassphraseWanted`."""

    do: Literal["passphrase"] = "passphrase"
    passphrase: str


class SignDecision(Model):
    """See `RunSigning.sign_decision`."""

    do: Literal["decision"] = "decision"
    decision: Decision


class Bind(Model):
    """See `RunSigning.bind`."""

    do: Literal["bind"] = "bind"
    plan: Plan
    run_id: RunId
    check_bundle: str
    now: AwareDatetime


class SbomDocument(Model):
    """An SBOM that a stage wrote."""

    predicate_type: str
    document: dict[str, Any]


class Fetched(Model):
    """A file that was fetched for a stage."""

    name: str
    sha256: Sha256


class AttestStage(Model):
    """See `RunSigning.attest_stage`."""

    do: Literal["stage"] = "stage"
    record: StageRecord
    admit_bundle: str
    inputs: dict[str, tuple[Product, ...]]
    sboms: tuple[SbomDocument, ...]
    fetched: tuple[Fetched, ...]
    now: AwareDatetime


class SignManifest(Model):
    """See `RunSigning.sign_manifest`."""

    do: Literal["manifest"] = "manifest"
    manifest: Manifest


class SignSummary(Model):
    """See `RunSigning.sign_summary`."""

    do: Literal["summary"] = "summary"
    about: Summarised
    decision_sha256: Sha256
    target_uri: str
    checkpoint: str
    time_verified: str


class SignCheckpoint(Model):
    """See `RunSigning.sign_checkpoint`."""

    do: Literal["checkpoint"] = "checkpoint"
    text: str


class KnowStamped(Model):
    """See `RunSigning.know_stamped`."""

    do: Literal["stamped"] = "stamped"
    bundle: str


Request = Annotated[
    Open | Passphrase | SignDecision | Bind | AttestStage | SignManifest | SignSummary | SignCheckpoint | KnowStamped,
    Field(discriminator="do"),
]


class OpenedKey(Model):
    """A key as everybody may know it."""

    sha256: Sha256
    public_key: str


class Answer(Model):
    """What the signing process says: one of these fields, by the request."""

    passphrase_wanted: str | None = None  # by the key of this name
    opened: dict[str, OpenedKey] | None = None  # by role
    bundles: tuple[str, ...] = ()
    signature: str | None = None  # hex
    error: tuple[str, str, str, str] | None = None  # class of policyd.errors, cause, where, fix


_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)


def read_request(content: bytes) -> Request:
    """Return the request in a frame; `ValueError` for anything that is none."""
    return _REQUEST.validate_json(content)


def send_frame(channel: socket.socket, content: bytes) -> None:
    """Send one frame. Raises `SigningFailed` where the other side is gone."""
    try:
        channel.sendall(_LENGTH.pack(len(content)) + content)
    except OSError as error:
        raise _gone() from error


def receive_frame(channel: socket.socket) -> bytes | None:
    """Return the next frame; None where the other side has closed. Raises `SigningFailed` for half a frame."""
    head = _receive(channel, _LENGTH.size)
    if not head:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME_BYTES:
        raise _gone()
    content = _receive(channel, length)
    if len(content) != length:
        raise _gone()
    return bytes(content)


def _receive(channel: socket.socket, size: int) -> bytearray:
    content = bytearray(size)
    view, got = memoryview(content), 0
    while got < size:
        try:
            count = channel.recv_into(view[got:])
        except OSError as error:
            raise _gone() from error
        if count == 0:
            break
        got += count
    if 0 < got < size:
        raise _gone()
    view.release()
    del content[got:]
    return content


def _gone() -> SigningFailed:
    return SigningFailed(
        "the signing process ended or does not answer",
        where="runner's keys",
        fix="run policyd again; where it happens again, set POLICYD_DEBUG=1 and report it",
    )
