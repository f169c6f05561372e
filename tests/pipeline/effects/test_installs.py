"""Packages and images by a name whose meaning can change."""

from __future__ import annotations

import pytest

from tests.pipeline.effects.said import details


@pytest.mark.parametrize(
    ("script", "package"),
    [
        ("pip install requests", "requests"),
        ("pip3 install -q -U requests[socks]==2.0", "requests[socks]==2.0"),
        ("python3.11 -m pip install requests", "requests"),
        ("sudo -H pip install 'black>=24'", "black>=24"),
        ("pip install git+https://github.com/o/r@main", "git+https://github.com/o/r@main"),
        ("uv pip install ruff", "ruff"),
        ("uv tool install ruff", "ruff"),
        ("uvx ruff check", "ruff"),
        ("pipx install poetry", "poetry"),
        ("pipx run build", "build"),
        ("conda install -y numpy", "numpy"),
        ("npm install -g eslint", "eslint"),
        ("npm i @scope/pkg@1", "@scope/pkg@1"),
        ("yarn add @types/node@20", "@types/node@20"),
        ("yarn global add serve", "serve"),
        ("pnpm add -g vercel", "vercel"),
        ("pnpm dlx create-x", "create-x"),
        ("npx -y semantic-release", "semantic-release"),
        ("npx eslint@latest .", "eslint@latest"),
        ("bun add left-pad", "left-pad"),
        ("gem install bundler", "bundler"),
        ("cargo install cargo-audit", "cargo-audit"),
        ("go install golang.org/x/vuln/cmd/govulncheck@latest", "golang.org/x/vuln/cmd/govulncheck@latest"),
        ("dotnet tool install -g GitVersion.Tool", "GitVersion.Tool"),
        ("composer global require phpunit/phpunit", "phpunit/phpunit"),
    ],
)
def test_a_package_by_name_is_seen(script: str, package: str) -> None:
    assert details("unlocked-install", script) == [package]


@pytest.mark.parametrize(
    "script",
    [
        "pip install -r requirements.txt",
        "pip install --require-hashes -r r.txt x",
        "pip install -e .",
        "pip install .[test]",
        "pip install --upgrade pip setuptools",
        "pip install dist/x-1.0-py3-none-any.whl",
        "pip install --no-index --find-links=dist x",
        "pip install git+https://github.com/o/r@0123456789abcdef0123456789abcdef01234567",
        "uv sync --frozen",
        "poetry install",
        "npm ci",
        "npm install --no-audit",
        "npm install ./local.tgz",
        "npm exec eslint",
        "npx eslint .",
        "yarn install --frozen-lockfile",
        "bundle install",
        "cargo install --locked cargo-audit",
        "cargo install --path .",
        "go install golang.org/x/vuln/cmd/govulncheck@v1.1.4",
        "go install ./cmd/x",
        "apt-get install -y jq=1.6-1",
        "apt-get install -y jq",
        "dotnet tool install -g x --version 1.2.3",
        "npm",
    ],
)
def test_lock_files_own_projects_and_signed_packages_are_fine(script: str) -> None:
    assert details("unlocked-install", script) == []


@pytest.mark.parametrize(
    ("script", "image"),
    [
        ("docker run --rm alpine:3 true", "alpine:3"),
        ("docker run -v $PWD:/w -w /w node:20 npm test", "node:20"),
        ("podman pull quay.io/o/i", "quay.io/o/i"),
        ("docker container run ghcr.io/o/i:v1", "ghcr.io/o/i:v1"),
    ],
)
def test_an_image_by_a_name_that_can_change_is_seen(script: str, image: str) -> None:
    assert details("unpinned-image", script) == [image]


@pytest.mark.parametrize(
    "script",
    [
        "docker run alpine@sha256:" + "0" * 64,
        "docker run $IMAGE",
        "docker build -t app . && docker run app",
        "docker exec db psql",
        "docker ps",
        "docker run",
    ],
)
def test_images_by_digest_computed_or_just_built_are_fine(script: str) -> None:
    assert details("unpinned-image", script) == []


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ('npm install "$PACKAGE"', ["$PACKAGE"]),
        ("pip install ${TOOL}", ["${TOOL}"]),
        ('pwsh -Command "Install-Module -Name Pester -Force"', ["Pester"]),
        ("powershell -Command 'Install-Module Az'", ["Az"]),
        ("php composer.phar require acme/x", ["acme/x"]),
        ("ansible-galaxy collection install community.docker", ["community.docker"]),
        ("ansible-galaxy install geerlingguy.docker", ["geerlingguy.docker"]),
        ("pip install $PIP_OPTIONS", []),
        ('pip install "$WHEEL_PATH"', []),
        ('npm install "$TITLE"', []),  # an outsider's text there is told of by another rule
        ('pwsh -Command "Install-Module Pester -RequiredVersion 5.5.0"', []),
        ("php composer.phar install", []),
        ("ansible-galaxy collection install community.docker:3.0.0", []),
        ("ansible-galaxy install -r requirements.yml", []),
    ],
)
def test_packages_by_variable_and_of_other_managers(script: str, found: list[str]) -> None:
    assert details("unlocked-install", script) == found


@pytest.mark.parametrize(
    ("script", "package"),
    [
        ('while read -r g; do gem install "$g"; done < gems.txt', "$g"),
        ('for t in a.org/x@latest b.org/y@v1; do go install "$t"; done', "$t"),
        ("go install a.org/x@${V:-latest}", "a.org/x@${V:-latest}"),
        ("xargs -n1 pip install < tools.txt", "what xargs reads"),
        ('npm install -g "${deps[@]}"', "${deps[@]}"),
    ],
)
def test_a_package_that_a_variable_or_a_list_names_is_seen(script: str, package: str) -> None:
    assert details("unlocked-install", script) == [package]


@pytest.mark.parametrize(
    "script",
    ['for t in a.org/x@v1 b.org/y@v2; do go install "$t"; done', "xargs pip install -r < list", "xargs npm ci"],
)
def test_a_version_in_a_loop_and_a_list_of_files_are_fine(script: str) -> None:
    assert details("unlocked-install", script) == []
