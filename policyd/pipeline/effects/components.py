"""What well-known components do: actions, tasks, orbs and templates, by owner and name.

A table, as for commands. Names are compared in lower case; what is not in it is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from policyd.models.facts import EffectKind
from policyd.pipeline.effects.containers import find_container_effects
from policyd.pipeline.effects.found import FoundEffect

_TABLE: dict[EffectKind, str] = {
    "test": """
        dorny/test-reporter mikepenz/action-junit-report enricomi/publish-unit-test-result-action
        codecov/codecov-action cypress-io/github-action coverallsapp/github-action pytest-dev/pytest-action
        helm/chart-testing-action
    """,
    "scan": """
        github/codeql-action/analyze aquasecurity/trivy-action aquasecurity/tfsec-action anchore/scan-action
        snyk/actions/* returntocorp/semgrep-action semgrep/semgrep-action gitleaks/gitleaks-action
        trufflesecurity/trufflehog ossf/scorecard-action sonarsource/sonarcloud-github-action
        sonarsource/sonarqube-scan-action actions/dependency-review-action google/osv-scanner-action/*
        bridgecrewio/checkov-action checkmarx/kics-github-action zizmorcore/zizmor-action
        boostsecurityio/poutine-action pypa/gh-action-pip-audit golang/govulncheck-action docker/scout-action
        hadolint/hadolint-action stackhawk/hawkscan-action zaproxy/action-full-scan zaproxy/action-baseline
        rustsec/audit-check actions-rs/audit-check embarkstudios/cargo-deny-action microsoft/security-devops-action
    """,
    "build": """
        docker/build-push-action docker/bake-action gradle/gradle-build-action actions/jekyll-build-pages
        pypa/cibuildwheel redhat-actions/buildah-build tauri-apps/tauri-action
    """,
    "package": """
        pypa/cibuildwheel pyo3/maturin-action helm/chart-releaser-action
    """,
    "sign": """
        sigstore/gh-action-sigstore-python actions/attest-build-provenance actions/attest actions/attest-sbom
        azure/trusted-signing-action azure/artifact-signing-action slsa-framework/slsa-github-generator/*
        signpath/github-action-submit-signing-request
    """,
    "sbom": """
        anchore/sbom-action cyclonedx/gh-dotnet-generate-sbom cyclonedx/gh-node-module-generatebom
        cyclonedx/gh-gomod-generate-sbom advanced-security/sbom-generator-action cyclonedx/gh-python-generate-sbom
        actions/attest-sbom
    """,
    "publish": """
        pypa/gh-action-pypi-publish js-devtools/npm-publish softprops/action-gh-release ncipollo/release-action
        actions/create-release actions/upload-release-asset rubygems/release-gem cycjimmy/semantic-release-action
        changesets/action googleapis/release-please-action google-github-actions/release-please-action
        svenstaro/upload-release-action elgohr/publish-docker-github-action helm/chart-releaser-action
        katyo/publish-crates peter-evans/dockerhub-description relekang/python-semantic-release
        python-semantic-release/publish-action python-semantic-release/upload-to-gh-release
        python-semantic-release/python-semantic-release redhat-actions/push-to-registry
    """,
    "deploy": """
        actions/deploy-pages peaceiris/actions-gh-pages jamesives/github-pages-deploy-action azure/webapps-deploy
        azure/functions-action azure/k8s-deploy azure/static-web-apps-deploy azure/arm-deploy
        azure/container-apps-deploy-action aws-actions/amazon-ecs-deploy-task-definition
        aws-actions/aws-cloudformation-github-deploy google-github-actions/deploy-cloudrun
        google-github-actions/deploy-appengine google-github-actions/deploy-cloud-functions
        cloudflare/wrangler-action cloudflare/pages-action amondnet/vercel-action nwtgck/actions-netlify
        akhileshns/heroku-deploy firebaseextended/action-hosting-deploy appleboy/ssh-action appleboy/scp-action
        easingthemes/ssh-deploy burnett01/rsync-deployments digitalocean/app_action digitalocean/app_action/deploy
        serverless/github-action pulumi/actions hashicorp/tfc-workflows-github/actions/apply-run
        jakejarvis/s3-sync-action samkirkland/ftp-deploy-action einaregilsson/beanstalk-deploy
        deployphp/action koslib/helm-eks-action
    """,
    "auto-merge": """
        pascalgn/automerge-action peter-evans/enable-pull-request-automerge hmarr/auto-approve-action
        alexwilson/enable-github-automerge-action ridedott/merge-me-action juliangruber/merge-pull-request-action
        fastify/github-action-merge-dependabot reitermarkus/automerge peter-evans/approve-pull-request
    """,
    "runs-workspace": """
        gradle/gradle-build-action pre-commit/action goreleaser/goreleaser-action docker/bake-action
        cypress-io/github-action golangci/golangci-lint-action pypa/cibuildwheel pyo3/maturin-action
        actions/jekyll-build-pages wearerequired/lint-action super-linter/super-linter github/super-linter
        oxsecurity/megalinter bazel-contrib/setup-bazel ruby/setup-ruby+bundler-cache changesets/action
        cycjimmy/semantic-release-action pulumi/actions serverless/github-action actions-rs/cargo
        clechasseur/rs-cargo tauri-apps/tauri-action ansible-community/ansible-lint-action
        github/codeql-action/autobuild borales/actions-yarn
    """,
}
#: Azure's tasks, by name without version.
_TASKS: dict[str, tuple[EffectKind, ...]] = {
    "npm": ("runs-workspace",),
    "maven": ("build", "test", "runs-workspace"),
    "gradle": ("build", "test", "runs-workspace"),
    "ant": ("build", "runs-workspace"),
    "msbuild": ("build", "runs-workspace"),
    "vsbuild": ("build", "runs-workspace"),
    "vstest": ("test", "runs-workspace"),
    "publishtestresults": ("test",),
    "publishcodecoverageresults": ("test",),
    "sonarqubeanalyze": ("scan",),
    "sonarcloudanalyze": ("scan",),
    "credscan": ("scan",),
    "microsoftsecuritydevops": ("scan",),
    "advancedsecurity-codeql-analyze": ("scan",),
    "advancedsecurity-dependency-scanning": ("scan",),
    "esrpcodesigning": ("sign",),
    "nugetpush": ("publish",),
    "nugetpublisher": ("publish",),
    "twineauthenticate": (),
    "githubrelease": ("publish",),
    "universalpackages": ("publish",),
    "azurewebapp": ("deploy",),
    "azurewebappcontainer": ("deploy",),
    "azurermwebappdeployment": ("deploy",),
    "azurefunctionapp": ("deploy",),
    "azureresourcemanagertemplatedeployment": ("deploy",),
    "azurecontainerapps": ("deploy",),
    "azurestaticwebapp": ("deploy",),
    "kubernetesmanifest": ("deploy",),
    "kubernetes": ("deploy",),
    "helmdeploy": ("deploy",),
    "azurekeyvault": (),
    "sqlazuredacpacdeployment": ("deploy",),
    "awscli": (),
    "cloudformationcreateorupdatestack": ("deploy",),
    "terraformtask": ("deploy", "runs-workspace"),
    "terraformtaskv": ("deploy", "runs-workspace"),
    "copyfilesoverssh": ("deploy",),
    "windowsmachinefilecopy": ("deploy",),
    "iiswebappdeploymentonmachinegroup": ("deploy",),
    "azureappservicemanage": ("deploy",),
    "azurefunctionappcontainer": ("deploy",),
    "azureresourcegroupdeployment": ("deploy",),
    "azurespringcloud": ("deploy",),
    "lambdadeployfunction": ("deploy",),
    "beanstalkdeployapplication": ("deploy",),
    "ecrpushimage": ("publish",),
    "appcenterdistribute": ("publish",),
    "googleplayrelease": ("publish",),
    "appstorerelease": ("publish",),
    "archivefiles": ("package",),
    "cmake": ("build", "runs-workspace"),
    "grunt": ("build", "runs-workspace"),
    "gulp": ("build", "runs-workspace"),
    "xcode": ("build", "runs-workspace"),
    "dockercompose": ("build", "runs-workspace"),
    "checkmarxastscan": ("scan",),
    "componentgovernancecomponentdetection": ("scan",),
    "dependency-check-build-task": ("scan",),
    "gitleaks": ("scan",),
    "snyksecurityscan": ("scan",),
    "trivy": ("scan",),
    "veracode": ("scan",),
    "whitesource": ("scan",),
    "manifestgeneratortask": ("sbom",),
    "notation": ("sign",),
    "trustedsigning": ("sign",),
}
_TERRAFORM_LOOKS = ("init", "plan", "show", "validate", "output")
#: By the command that an Azure task is told: what it is for then.
_TASK_COMMANDS: dict[tuple[str, str], tuple[EffectKind, ...]] = {
    ("docker", ""): ("build", "publish", "runs-workspace"),  # what `Docker@2` does unless told
    ("docker", "build"): ("build", "runs-workspace"),
    ("docker", "buildandpush"): ("build", "publish", "runs-workspace"),
    ("docker", "push"): ("publish",),
    ("npm", "publish"): ("publish",),
    ("dotnetcorecli", "test"): ("test", "runs-workspace"),
    ("dotnetcorecli", "build"): ("build", "runs-workspace"),
    ("dotnetcorecli", "publish"): ("build", "runs-workspace"),
    ("dotnetcorecli", "restore"): ("runs-workspace",),
    ("dotnetcorecli", "pack"): ("package", "runs-workspace"),
    ("dotnetcorecli", "push"): ("publish",),
    ("nugetcommand", "push"): ("publish",),
    ("nugetcommand", "pack"): ("package",),
    ("dotnetcorecli", ""): ("build", "runs-workspace"),
    ("dotnetcorecli", "run"): ("runs-workspace",),
    **{(f"terraformtaskv{version}", verb): ("runs-workspace",) for version in "1234" for verb in _TERRAFORM_LOOKS},
    ("kubernetesmanifest", "bake"): (),
}


def _read_table() -> dict[str, list[tuple[EffectKind, str]]]:
    rows: dict[str, list[tuple[EffectKind, str]]] = {}
    for kind, entries in _TABLE.items():
        for entry in entries.split():
            slug, _, asked = entry.partition("+")
            rows.setdefault(slug, []).append((kind, asked))
    return rows


_ROWS = _read_table()


def find_component_effects(kind: str, owner: str, name: str, inputs: Mapping[str, str]) -> Iterator[FoundEffect]:
    """Yield what a component does; `kind`, `owner` and `name` are those of its reference, `inputs` what it is given."""
    given = {key.lower(): value for key, value in inputs.items()}
    if kind == "task":
        yield from _task(name, given)
        return
    if kind not in ("action", "workflow", "orb", "component"):
        return
    slug = f"{owner}/{name}".lower().strip("/")
    rows = _ROWS.get(slug) or _ROWS.get("/".join(slug.split("/")[:2]) + "/*")
    for effect, asked in rows or ():
        if not asked or given.get(asked, "false").strip().lower() not in ("", "false"):
            yield FoundEffect(effect, slug, text=slug)
    yield from _by_inputs(slug, given)


def _by_inputs(slug: str, given: Mapping[str, str]) -> Iterator[FoundEffect]:
    """Yield what an action does because of what it is given."""
    if slug in ("docker/build-push-action", "docker/bake-action"):
        if (
            _is_on(given.get("push", ""))
            or "type=registry" in given.get("outputs", "")
            or "push=true" in given.get("outputs", "")
        ):
            yield FoundEffect("publish", slug, text=slug)
        if _is_on(given.get("sbom", "")):
            yield FoundEffect("sbom", slug, text=slug)
        if slug == "docker/build-push-action":
            context = given.get("context", "")
            # Without a context it builds from the repository's address, not from the tree that was checked out.
            if context and "://" not in context and not context.startswith("{{"):
                yield FoundEffect("runs-workspace", slug, text=slug)
        if "security.insecure" in given.get("allow", ""):
            yield FoundEffect("privileged-container", "security.insecure", text=slug)
    elif slug == "goreleaser/goreleaser-action":
        args = given.get("args", "")
        if args.strip().startswith(("check", "healthcheck", "init", "completion", "--version")):
            return
        yield FoundEffect(
            "build" if "--snapshot" in args or args.strip().startswith("build") else "publish", slug, text=slug
        )
    elif slug == "gradle/actions/setup-gradle" and given.get("arguments"):
        yield FoundEffect("runs-workspace", slug, text=slug)
    elif slug == "aquasecurity/trivy-action" and given.get("format", "") in ("cyclonedx", "spdx", "spdx-json"):
        yield FoundEffect("sbom", slug, text=slug)
    elif slug in ("actions/setup-node", "actions/setup-python", "actions/setup-java", "actions/setup-go"):
        return
    elif slug == "addnab/docker-run-action":
        options = given.get("options", "")
        yield from find_container_effects(options, [], privileged=False)


def _task(name: str, given: Mapping[str, str]) -> Iterator[FoundEffect]:
    task = name.partition("@")[0].rpartition(".")[2].lower()
    command = given.get("command", given.get("action", "")).lower()
    if task == "docker" and "run" in command.split():
        yield from find_container_effects(given.get("arguments", ""), [], privileged=False)
    kinds = _TASK_COMMANDS.get((task, command))
    if kinds is None:
        kinds = _TASKS.get(task.rstrip("0123456789"), ())
    if task == "npm" and command in ("", "install", "ci", "custom"):
        kinds = ("runs-workspace",)
    for kind in kinds:
        yield FoundEffect(kind, f"{name} {command}".strip(), text=name)


def _is_on(value: str) -> bool:
    return value.strip().lower() not in ("", "false", "0", "no")
