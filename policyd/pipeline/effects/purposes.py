"""What well-known commands are for: tests, scans, builds, signatures, releases.

A table: a program, the words that have to follow it (alternatives with `|`, `*` for any), and what that is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.models.facts import EffectKind
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.tables import words
from policyd.pipeline.shell import SHELLS

_TABLE: dict[EffectKind, str] = {
    "test": """
        pytest; py.test; tox; nox; unittest; nose2; behave; robot; jest; vitest; mocha; ava; karma; cypress run;
        playwright test; phpunit; pest; rspec; cucumber; ctest; bats; prove; newman run; k6 run; locust; go test;
        gotestsum; cargo test|t|nextest|bench; dotnet test|vstest; mix test; swift test; flutter test; dart test;
        deno test; bun test; stack test; cabal test; sbt test; lein test; zig test; forge test; molecule test;
        npm test|t|tst; pnpm test|t; yarn test; npm run test*; pnpm run test*; yarn run test*;
        make test*; make check; rake test|spec; mvn test|verify|integration-test; mvnw test|verify;
        gradle test|check; gradlew test|check; bazel test; bazelisk test; ninja test; composer test; hatch test;
        rye test; opa test; conftest verify; helm test; terraform test; tofu test; kitchen test; xcodebuild test;
        just test; nx test; turbo test; ng test; rails test; php artisan; ginkgo; jasmine; tap; c8; nyc;
        policyd policy; testcafe; cargo-nextest; inspec exec
    """,
    "scan": """
        trivy *; grype *; snyk test|code|container|iac|monitor; bandit; semgrep *; gitleaks *; trufflehog *;
        checkov; tfsec; terrascan; kics scan; zizmor; poutine *; actionlint; conftest test; pip-audit; pip_audit;
        safety check|scan; govulncheck; gosec; osv-scanner; codeql database|analyze; npm audit; pnpm audit;
        yarn audit|npm; cargo audit|deny; bundle audit; bundle-audit; bundler-audit; brakeman; composer audit;
        dotnet list; docker scout|scan; dockle; hadolint; clair*; anchore*; detect-secrets *; ggshield *;
        horusec start; dependency-check*; sonar-scanner; scorecard; kubesec; kube-linter lint; polaris audit;
        checkmarx*; cx scan; veracode*; fortify*; nuclei; zap*; policyd check; policyd scan; twistcli *; wizcli *;
        mvn sonar:sonar|*dependency-check*; gradle sonar*|dependencyCheck*; gradlew sonar*|dependencyCheck*; retire;
        njsscan; spectral lint; shellcheck; mix sobelow|deps.audit
    """,
    "build": """
        make; make all|build*; cmake *; ninja; meson *; go build|install; cargo build|b;
        dotnet build|publish|msbuild; msbuild; mvn compile|package|install; mvnw compile|package|install;
        gradle build|assemble*|jar; gradlew build|assemble*|jar; bazel build; bazelisk build;
        npm run build*; pnpm run build*; pnpm build; yarn build; yarn run build*; bun run build*;
        bun build; tsc; webpack; vite build; rollup; next build; ng build; nx build; turbo build;
        docker build|buildx|bake; docker compose; podman build; buildah bud|build; nerdctl build; kaniko; ko build;
        pack build; img build; gcc; g++; clang; rustc; javac; swift build; flutter build; xcodebuild;
        sbt compile|package|assembly; mix compile; stack build; cabal build; zig build; hugo; jekyll build;
        mkdocs build; sphinx-build; gatsby build; scons; ant; pyinstaller; nix build; nix-build; earthly *;
        dagger *; bake; packer build
    """,
    "package": """
        build; python setup.py; setup.py sdist|bdist_wheel; poetry build; uv build; hatch build; flit build;
        pdm build; maturin build; npm pack; pnpm pack; yarn pack; gem build; cargo package; dotnet pack; nuget pack;
        helm package; dpkg-deb *; dpkg-buildpackage; rpmbuild; fpm; goreleaser build; cibuildwheel; conda build;
        snapcraft; flatpak-builder; electron-builder; vsce package; jpackage; zip; docker save; nfpm *
    """,
    "sign": """
        cosign sign|sign-blob|attest|attest-blob; gpg --sign|--detach-sign|--clearsign|-s|-b|--detach-sig;
        minisign -S*; signify -S; rekor-cli upload; notation sign; sigstore sign|attest; jarsigner; apksigner sign;
        codesign; signtool sign; osslsigncode sign; AzureSignTool sign; rpmsign; debsign; dpkg-sig;
        policyd sign|attest; gh attestation; in-toto-run; witness run; docker trust; helm package; git tag -s;
        slsa-generator*; smctl sign; xcrun notarytool
    """,
    "sbom": """
        syft *; cyclonedx*; cdxgen; trivy sbom; docker sbom; npm sbom; sbom-tool generate; spdx-sbom-generator;
        cargo cyclonedx|sbom; dotnet CycloneDX; mvn *cyclonedx*; gradle cyclonedxBom; gradlew cyclonedxBom;
        tern report; bom generate; ko *sbom*; cyclonedx-py *; cyclonedx-gomod *
    """,
    "publish": """
        npm publish; pnpm publish; yarn publish|npm; bun publish; twine upload; poetry publish; uv publish;
        flit publish; hatch publish; pdm publish; gem push; cargo publish; dotnet nuget; nuget push;
        mvn deploy|release:perform; mvnw deploy; gradle publish*|uploadArchives; gradlew publish*|uploadArchives;
        docker push; docker buildx; podman push; buildah push; skopeo copy; crane push|copy|append; oras push;
        helm push; ko publish|resolve|apply; regctl image; gh release; glab release; release-cli create;
        goreleaser release; goreleaser; semantic-release; release-it; changeset publish; lerna publish; jf rt;
        vsce publish; ovsx publish; snapcraft upload|push; composer publish; mix hex.publish; pub publish; dart pub;
        pod trunk; jfrog rt; conan upload; fastlane *; aws ecr; twine; az artifacts; luarocks upload; cabal upload;
        conda upload; anaconda upload; hub release; dput; package_cloud push; cloudsmith push; jreleaser *
    """,
    "deploy": """
        kubectl apply|create|replace|rollout|set|patch; oc apply|rollout|new-app; helm upgrade|install;
        helmfile apply|sync; kustomize deploy; argocd app; flux reconcile|bootstrap; terraform apply|destroy;
        tofu apply|destroy; terragrunt apply|run-all; pulumi up|update; cdk deploy; ansible-playbook; sam deploy;
        serverless deploy; sls deploy; aws cloudformation|s3|ecs|lambda|deploy|elasticbeanstalk|apprunner|amplify;
        eb deploy; ecs-cli *; copilot deploy; az webapp|functionapp|deployment|containerapp|aks|staticwebapp;
        gcloud app|run|functions|deploy|builds|compute; firebase deploy; vercel; netlify deploy;
        wrangler deploy|publish|pages; flyctl deploy; fly deploy; heroku container:release|releases:retry; cf push;
        nomad run|job; docker stack|service; surge; cap *; dokku *; railway up; render deploy; kamal deploy;
        skaffold run|deploy; eksctl create; doctl apps|kubernetes; gsutil cp|rsync; rsync; scp; azcopy *; railway
    """,
    "auto-merge": """
        gh pr; glab mr; az repos; hub merge
    """,
}
#: Where the table's words are not enough: the words one of which has to be there too.
_ALSO: dict[tuple[EffectKind, str, str], frozenset[str]] = {
    ("publish", "docker", "buildx"): frozenset(("--push",)),
    ("publish", "dotnet", "nuget"): frozenset(("push",)),
    ("publish", "gh", "release"): frozenset(("create", "upload", "edit")),
    ("publish", "glab", "release"): frozenset(("create", "upload")),
    ("publish", "hub", "release"): frozenset(("create", "edit")),
    ("publish", "jf", "rt"): frozenset(("upload", "u", "push", "docker-push", "dp")),
    ("publish", "jfrog", "rt"): frozenset(("upload", "u", "push", "docker-push", "dp")),
    ("publish", "aws", "ecr"): frozenset(("put-image",)),
    ("publish", "az", "artifacts"): frozenset(("publish",)),
    ("publish", "yarn", "npm"): frozenset(("publish",)),
    ("publish", "twine", ""): frozenset(("upload",)),
    ("publish", "dart", "pub"): frozenset(("publish",)),
    ("publish", "pod", "trunk"): frozenset(("push",)),
    ("publish", "ko", "resolve"): frozenset(("-f",)),
    ("publish", "regctl", "image"): frozenset(("copy",)),
    ("publish", "fastlane", "*"): frozenset(("deliver", "pilot", "supply", "release", "beta", "upload_to_testflight")),
    ("scan", "yarn", "npm"): frozenset(("audit",)),
    ("scan", "dotnet", "list"): frozenset(("--vulnerable",)),
    ("build", "docker", "buildx"): frozenset(("build", "bake")),
    ("build", "docker", "compose"): frozenset(("build", "--build")),
    ("package", "python", "setup.py"): frozenset(("sdist", "bdist_wheel", "bdist")),
    ("sign", "gh", "attestation"): frozenset(("sign",)),
    ("sign", "docker", "trust"): frozenset(("sign",)),
    ("sign", "helm", "package"): frozenset(("--sign",)),
    ("sign", "git", "tag"): frozenset(("-s",)),
    ("sign", "xcrun", "notarytool"): frozenset(("submit",)),
    ("deploy", "argocd", "app"): frozenset(("sync", "create", "set")),
    ("deploy", "aws", "cloudformation"): frozenset(("deploy", "create-stack", "update-stack")),
    ("deploy", "aws", "s3"): frozenset(("sync", "cp")),
    ("deploy", "aws", "ecs"): frozenset(("update-service", "deploy")),
    ("deploy", "aws", "lambda"): frozenset(("update-function-code", "publish-version")),
    ("deploy", "aws", "deploy"): frozenset(("create-deployment", "push")),
    ("deploy", "aws", "elasticbeanstalk"): frozenset(("update-environment", "create-application-version")),
    ("deploy", "aws", "apprunner"): frozenset(("start-deployment", "update-service")),
    ("deploy", "aws", "amplify"): frozenset(("start-deployment", "start-job")),
    ("deploy", "az", "webapp"): frozenset(("deploy", "deployment", "up", "config")),
    ("deploy", "az", "functionapp"): frozenset(("deploy", "deployment")),
    ("deploy", "az", "deployment"): frozenset(("create",)),
    ("deploy", "az", "containerapp"): frozenset(("update", "up", "create")),
    ("deploy", "az", "aks"): frozenset(("command", "create", "update")),
    ("deploy", "az", "staticwebapp"): frozenset(("deploy", "create")),
    ("deploy", "gcloud", "app"): frozenset(("deploy",)),
    ("deploy", "gcloud", "run"): frozenset(("deploy", "update", "services")),
    ("deploy", "gcloud", "functions"): frozenset(("deploy",)),
    ("deploy", "gcloud", "deploy"): frozenset(("releases",)),
    ("deploy", "gcloud", "builds"): frozenset(("deploy",)),
    ("deploy", "gcloud", "compute"): frozenset(("update-container", "create", "rolling-action")),
    ("deploy", "kubectl", "create"): frozenset(("deployment", "-f", "--filename")),
    ("deploy", "kubectl", "set"): frozenset(("image",)),
    ("deploy", "kubectl", "rollout"): frozenset(("restart", "undo")),
    ("deploy", "oc", "rollout"): frozenset(("latest", "restart")),
    ("deploy", "doctl", "apps"): frozenset(("create-deployment", "update", "create")),
    ("deploy", "doctl", "kubernetes"): frozenset(("create",)),
    ("deploy", "nomad", "job"): frozenset(("run",)),
    ("deploy", "docker", "stack"): frozenset(("deploy",)),
    ("deploy", "docker", "service"): frozenset(("update", "create")),
    ("deploy", "vercel", ""): frozenset(("--prod", "deploy")),
    ("deploy", "netlify", "deploy"): frozenset(("--prod", "-p")),
    ("deploy", "terragrunt", "run-all"): frozenset(("apply",)),
    ("auto-merge", "gh", "pr"): frozenset(("merge", "--approve", "-a")),
    ("auto-merge", "glab", "mr"): frozenset(("merge", "approve")),
    ("auto-merge", "az", "repos"): frozenset(("--auto-complete", "completed", "approve")),
}
#: They reach other machines; only then is a copy a deployment.
_COPIES = frozenset(("rsync", "scp", "gsutil"))


def _read_table() -> dict[str, list[tuple[EffectKind, tuple[str, ...]]]]:
    rows: dict[str, list[tuple[EffectKind, tuple[str, ...]]]] = {}
    for kind, entries in _TABLE.items():
        for entry in entries.split(";"):
            program, _, rest = " ".join(entry.split()).partition(" ")
            alternatives = tuple(rest.split("|")) if rest else ("",)
            rows.setdefault(program, []).append((kind, alternatives))
    return rows


_ROWS = _read_table()
_PREFIXES = tuple((program[:-1], rows) for program, rows in _ROWS.items() if program.endswith("*"))
_PREFIX_NAMES = tuple(prefix for prefix, _ in _PREFIXES)
_WITH_VALUE = words(
    """
    -C --prefix --cwd --dir --directory -f --file --filter -w --workspace --project --manifest-path -p --chdir -n
    --namespace --context --kubeconfig -H --registry --profile --region -R --repo -j --jobs -P -s --settings -T
    --kube-context --values --set
    """
)


def find_purpose(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what a well-known command is for."""
    rows = _ROWS.get(seen.program)
    if rows is None:
        if _runs_own_tests(seen):
            yield seen.found("test", seen.program, confidence="medium")
            return
        if not seen.program.startswith(_PREFIX_NAMES):
            return
        rows = next((rows for prefix, rows in _PREFIXES if seen.program.startswith(prefix)), None)
        if rows is None:
            return
    if seen.has("--version", "--help") or seen.args in (["version"], ["help"], ["-h"], ["-V"]):
        return
    operands = ["run" if word == "run-script" else word for word in seen.operands(_WITH_VALUE)]
    given = set()
    for kind, alternatives in rows:
        word = _matching(alternatives, operands, seen)
        if word is None or kind in given:
            continue
        also = _ALSO.get((kind, seen.program, word))
        if also is not None and also.isdisjoint(seen.args):
            continue
        if seen.program in _COPIES and not any(":" in one for one in operands):
            continue
        if kind == "publish" and (seen.has("--dry-run") or seen.has("--snapshot")):
            continue
        given.add(kind)
        yield seen.found(kind, " ".join([seen.program, *operands[:2]])[:80])


#: A script or program of the tree that is called after tests: `./run-tests.sh`, `scripts/test`, `./flattests`.
_TESTS = re.compile(r"(?:[\w-]*[\W_])?[Tt]ests?(?:[\W_][\w-]*)?|[\w-]*tests")


def _runs_own_tests(seen: Seen) -> bool:
    word = seen.command.argv[0].replace("\\", "/")
    if seen.program in SHELLS or seen.program in ("python", "node", "ruby"):
        word = next((one for one in seen.args if not one.startswith("-")), "")
    elif "/" not in word:
        return False
    name = word.rpartition("/")[2].partition(".")[0]
    return _TESTS.fullmatch(name[:100]) is not None


def _matching(alternatives: tuple[str, ...], operands: list[str], seen: Seen) -> str | None:
    """Return the first of the table's words that the command has, "" where none is asked for, `None` if it has none."""
    if alternatives == ("",):
        # The program alone says it; where it has subcommands, only without one.
        return "" if not operands or seen.program not in _NEEDS_VERB else None
    first = operands[0] if operands else ""
    for word in alternatives:
        if word == "*":
            return word
        if word.startswith("-"):
            if word in seen.args or (word.endswith("*") and any(arg.startswith(word[:-1]) for arg in seen.args)):
                return word
        elif " " in word:
            head, _, tail = word.partition(" ")
            if first == head and any(_fits(tail, one) for one in operands[1:] + seen.args):
                return head
        elif seen.program in ("mvn", "mvnw", "gradle", "gradlew", "make", "xcodebuild", "sbt", "ant", "rake"):
            # Goals: any number, in any order.
            if any(
                _fits(word, one.rsplit(":", 1)[-1] if seen.program.startswith("gradle") else one) for one in operands
            ):
                return word
        elif _fits(word, first):
            return word
    return None


def _fits(pattern: str, word: str) -> bool:
    if pattern.startswith("*") and pattern.endswith("*"):
        return pattern.strip("*") in word
    return word.startswith(pattern[:-1]) if pattern.endswith("*") else word == pattern


_NEEDS_VERB = frozenset(("make", "goreleaser", "vercel", "twine", "railway", "build"))
