"""An image signed keyless with a Sigstore instance that really runs, pushed, and verified by policyd and by cosign."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.workshop import Workshop
from tests.registry import running_registry
from tests.sigstore import EMAIL, LocalSigstore


@pytest.mark.xdist_group("sigstore")  # one instance is started
def test_an_image_signed_keyless_is_found_and_verified_by_policyd_and_cosign(
    shop: Workshop, sigstore: LocalSigstore, docker_registry: Path, cosign: Path, tmp_path: Path
) -> None:
    config = sigstore.trust_config()
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "root.json").write_text(json.dumps(config["trustedRoot"]))
    (tmp_path / "token").write_text(sigstore.token())
    issuer = f"{sigstore.issuer}/email"
    with running_registry(docker_registry, tmp_path) as registry:
        image = registry.push_image()
        signing = ["--keyless", "--trust-config", "config.json", "--identity-token", "token", "--push"]

        signed = shop.call("sign", image, *signing, cwd=tmp_path).require(0)

        assert EMAIL in signed.out
        assert "pushed" in signed.out
        trust = ["--trusted-root", "root.json", "--cert-oidc-issuer", issuer]
        shop.call("verify", image, *trust, "--cert-identity", EMAIL, cwd=tmp_path).require(0)
        shop.call("verify", image, *trust, "--cert-identity", f"x{EMAIL}", cwd=tmp_path).require(1)
        verifying = ["--certificate-identity", EMAIL, "--certificate-oidc-issuer", issuer, "--allow-http-registry"]
        done = subprocess.run(
            [cosign, "verify", "--trusted-root", "root.json", *verifying, image.removeprefix("oci://")],
            cwd=tmp_path,
            env={"HOME": str(tmp_path), "PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
