"""A SoftHSM token in a folder, with keys made by PKCS#11."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

PIN = "5678"
#: id on the token → curve
CURVES = {1: "secp256r1", 2: "secp384r1", 3: "secp521r1"}

_MAKE = """\
import sys
import pkcs11, pkcs11.util.ec
module, label, pin, *keys = sys.argv[1:]
with pkcs11.lib(module).get_token(token_label=label).open(rw=True, user_pin=pin) as session:
    for key in keys:
        number, _, curve = key.partition("=")
        named = pkcs11.util.ec.encode_named_curve_parameters(curve)
        parameters = session.create_domain_parameters(
            pkcs11.KeyType.EC, {pkcs11.Attribute.EC_PARAMS: named}, local=True
        )
        parameters.generate_keypair(id=bytes([int(number)]), store=True)
"""


@dataclass(frozen=True)
class Token:
    """A token and where its configuration stands."""

    module: Path
    label: str
    configuration: Path

    def uri(self, number: int) -> str:
        """Return policyd's URI of a key on it."""
        return f"hsm:{number}?{urlencode({'label': self.label, 'module': str(self.module)})}"

    @property
    def environment(self) -> dict[str, str]:
        """What SoftHSM reads to find its tokens."""
        return {"SOFTHSM2_CONF": str(self.configuration)}


def make_token(folder: Path, module: Path) -> Token:
    """Make a token with a key for each curve. In processes of their own: a library reads its configuration once."""
    (folder / "tokens").mkdir(parents=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    token = Token(module, "policyd test", configuration)
    environment = {**os.environ, **token.environment}
    start = ["softhsm2-util", "--init-token", "--free", "--label", token.label, "--so-pin", "1234", "--pin", PIN]
    subprocess.run(start, env=environment, check=True, timeout=60, capture_output=True)
    keys = [f"{number}={curve}" for number, curve in CURVES.items()]
    subprocess.run(
        [sys.executable, "-c", _MAKE, str(module), token.label, PIN, *keys], env=environment, check=True, timeout=60
    )
    return token
