"""What runs code of the working tree, and what commands are for."""

from __future__ import annotations

import pytest

from tests.pipeline.effects.said import details, effects


@pytest.mark.parametrize(
    "script",
    [
        "make",
        "npm ci",
        "npm install",
        "npm run build",
        "npm test",
        "yarn",
        "yarn lint",
        "pnpm install --frozen-lockfile",
        "pip install .",
        "pip install -e '.[test]'",
        "pip install -r requirements.txt",
        "uv sync",
        "poetry install",
        "poetry run pytest",
        "python -m pytest",
        "pytest tests",
        "tox -e py",
        "python setup.py sdist",
        "python3 scripts/x.py",
        "node build.js",
        "./run.sh",
        "../x",
        "bash ci/build.sh",
        "source .env",
        ". ./env.sh",
        "scripts/release.sh",
        "mvn -B package",
        "./gradlew build",
        "cargo test",
        "go test ./...",
        "go generate",
        "dotnet test",
        "bundle install",
        "bundle exec rspec",
        "composer install",
        "docker build .",
        "docker compose up",
        "terraform plan",
        "pre-commit run -a",
        "ansible-playbook site.yml",
        "npx eslint .",
        "sudo -E make install",
        "$GITHUB_WORKSPACE/x.sh",
    ],
)
def test_code_of_the_working_tree_is_seen(script: str) -> None:
    assert len(details("runs-workspace", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        "make --version",
        "npm --version",
        "npm install -g eslint",
        "npm ci --ignore-scripts",
        "npm config set x y",
        "pip install requests",
        "pip install --require-hashes -r r.txt",
        "python -c 'print(1)'",
        "python --version",
        "node -e '1'",
        "bash -c 'echo hi'",
        "/usr/bin/env",
        "source /etc/profile",
        "go version",
        "go install example.com/x@v1",
        "cargo install --locked x",
        "docker pull x",
        "git status",
        "cat Makefile",
        "ls ./x",
        "echo ./x",
    ],
)
def test_other_commands_run_nothing_of_it(script: str) -> None:
    assert details("runs-workspace", script) == []


@pytest.mark.parametrize(
    ("script", "purposes"),
    [
        ("pytest", {"test"}),
        ("python -m unittest", {"test"}),
        ("npm test", {"test"}),
        ("npm run test:unit", {"test"}),
        ("npm run build", {"build"}),
        ("mvn -B verify", {"test"}),
        ("./gradlew :app:test", {"test"}),
        ("go test ./...", {"test"}),
        ("trivy image x", {"scan"}),
        ("npm audit", {"scan"}),
        ("docker build -t x .", {"build"}),
        ("docker buildx build --push -t x .", {"build", "publish"}),
        ("docker push x", {"publish"}),
        ("python -m build", {"package"}),
        ("twine upload dist/*", {"publish"}),
        ("npm publish", {"publish"}),
        ("gh release create v1", {"publish"}),
        ("cosign sign x", {"sign"}),
        ("syft . -o spdx-json", {"sbom"}),
        ("kubectl apply -f k8s", {"deploy"}),
        ("kubectl -n prod rollout restart deploy/x", {"deploy"}),
        ("terraform apply -auto-approve", {"deploy"}),
        ("helm upgrade --install x ./c", {"deploy"}),
        ("aws s3 sync dist s3://b", {"deploy"}),
        ("gcloud run deploy x", {"deploy"}),
        ("rsync -a dist/ host:/srv", {"deploy"}),
        ("gh pr merge --auto 1", {"auto-merge"}),
        ("gh pr review --approve 1", {"auto-merge"}),
        ("make", {"build"}),
        ("make test", {"test"}),
    ],
)
def test_what_a_command_is_for_is_known(script: str, purposes: set[str]) -> None:
    kinds = {"test", "scan", "build", "package", "sign", "sbom", "publish", "deploy", "auto-merge"}

    assert {effect.kind for effect in effects(script)} & kinds == purposes


@pytest.mark.parametrize(
    "script",
    [
        "pytest --version",
        "npm publish --dry-run",
        "kubectl get pods",
        "kubectl rollout status x",
        "terraform plan",
        "gh pr view 1",
        "gh release view v1",
        "rsync -a a/ b/",
        "docker buildx create",
        "aws sts get-caller-identity",
        "echo pytest",
    ],
)
def test_what_only_looks_is_for_nothing(script: str) -> None:
    kinds = {"test", "scan", "build", "package", "sign", "sbom", "publish", "deploy", "auto-merge"}

    assert {effect.kind for effect in effects(script)} & kinds == set()


@pytest.mark.parametrize(
    "script",
    [
        "pytest || true",
        "pytest || :",
        "pytest || echo failed",
        "pytest || exit 0",
        "npm audit || true",
        "trivy image x || true; echo done",
        "a && pytest || true",
        "sha256sum -c sums || true",
        "bandit -r src --exit-zero",
        "mvn -Dmaven.test.failure.ignore=true test",
        "set +e\npytest\necho done",
    ],
)
def test_a_failure_that_is_ignored_is_seen(script: str) -> None:
    assert len(details("ignores-failure", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        "pytest",
        "if pytest; then true; fi",
        "pytest || exit 1",
        "pytest || { echo failed; exit 1; }",
        "rm x || true",
        "pytest; true",
        "set +e\npytest\nrc=$?\nexit $rc",
        "set +e\npytest",
        "set +e\nset -e\npytest\necho done",
        "mvn verify -DskipTests=true",
    ],
)
def test_a_failure_that_counts_is_fine(script: str) -> None:
    assert details("ignores-failure", script) == []
