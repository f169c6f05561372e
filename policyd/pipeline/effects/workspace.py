"""Commands that run code, build files or configuration of the working tree.

Whoever can change a file of the tree decides what they do: a Makefile, a script of package.json, setup.py, conftest.py,
a plugin named in a configuration file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.seen import Seen
from policyd.pipeline.effects.tables import words
from policyd.pipeline.shell import SHELLS

#: They read configuration of the tree that can name code, whatever they are asked to do.
_ALWAYS = words(
    """
    make gmake bmake remake ninja scons bazel bazelisk buck buck2 pants rake mage just task earthly invoke fab nox
    tox pytest py.test unittest behave robot mocha jest vitest ava karma cypress playwright nyc c8 rspec cucumber
    phpunit pest phpstan psalm php-cs-fixer rubocop jekyll mvn mvnw gradle gradlew sbt mill lein ant eslint prettier
    stylelint webpack vite rollup parcel tsc next nuxt gatsby ng nx turbo lerna grunt gulp hugo mkdocs sphinx-build
    pre-commit prek lefthook husky goreleaser ko skaffold tilt terragrunt terraform tofu pulumi cdk serverless sls
    sam ansible-playbook ansible-lint molecule packer vagrant mypy pylint flake8 setup.py semantic-release
    release-it changeset ctest cmake meson autoreconf phing composer-unused dagger act pod fastlane xcodebuild
    flutter dart mix rebar3 stack cabal dune zig conan waf bundle-audit danger detox wrangler vercel netlify
    storybook size-limit xmake golangci-lint perl-critic prove hatch-test maturin cibuildwheel pyinstaller briefcase
    ansible-test kitchen inspec forge hardhat truffle
    """
)
#: By program: the subcommands that do. "" is the program alone.
_VERBS: dict[str, frozenset[str]] = {
    program: frozenset(verbs.split())
    for programs, verbs in (
        (
            "npm",
            """
                ci install i install-clean clean-install test t tst run run-script start stop restart publish pack
                rebuild install-test it cit link
            """,
        ),
        ("pnpm", "install i add test t run start publish pack rebuild build dlx up update"),
        ("yarn", "install add test run start build publish pack workspaces workspace - lint"),
        ("bun", "install i add test run build x publish"),
        ("uv", "sync build lock pip"),
        ("poetry", "install build publish update lock"),
        ("pipenv", "install sync update"),
        ("pdm", "install sync build publish"),
        ("hatch", "build test env publish fmt"),
        ("flit", "build install publish"),
        ("build", "-"),  # python -m build
        (
            "cargo",
            """
                build b test t run r check c bench clippy doc install publish package fmt nextest tarpaulin llvm-cov
                hack make xtask
            """,
        ),
        ("go", "test run generate vet build install"),
        ("dotnet", "build test run publish restore pack msbuild format tool"),
        ("msbuild", "-"),
        ("bundle", "install update exec"),
        ("gem", "build"),
        ("composer", "install update run run-script test dump-autoload create-project"),
        ("docker", "build buildx compose bake"),
        ("docker-compose", "up build run"),
        ("podman", "build"),
        ("buildah", "bud build"),
        ("nerdctl", "build compose"),
        ("kaniko", "-"),
        ("helm", "dependency"),
        ("swift", "build test run package"),
        ("deno", "task test run bench"),
        ("nix", "build develop run flake shell"),
        ("nix-build", "-"),
        ("nix-shell", "-"),
        ("jupyter", "nbconvert execute"),
        ("coverage", "run"),
        ("rye", "sync build test run"),
        ("conda", "build"),
    )
    for program in programs.split()
}
_INTERPRETERS = SHELLS | {
    "python",
    "node",
    "ruby",
    "perl",
    "php",
    "pwsh",
    "powershell",
    "Rscript",
    "julia",
    "lua",
    "ts-node",
    "tsx",
    "java",
}
_SCRIPT = re.compile(r"[A-Za-z0-9_./\\-]+\.(?:py|sh|bash|js|mjs|cjs|ts|rb|pl|php|ps1|R|jl|lua|jar)\Z")
_OWN = re.compile(
    r"\.{1,2}[/\\]|\$\{?(?:GITHUB_WORKSPACE|CI_PROJECT_DIR|PWD|BUILD_SOURCESDIRECTORY|WORKSPACE)\}?/|\$\(Build\.SourcesDirectory\)|\$\(workspaces\."
)
_WHEEL = re.compile(r"[^:$]+(?:\.whl|\.tar\.gz)")
_WITH_VALUE = words(
    """
    -C --prefix --cwd --dir --directory -f --file --filter -w --workspace --project --manifest-path
    --project-directory -p --chdir -T
    """
)


def find_workspace_run(seen: Seen) -> Iterator[FoundEffect]:
    """Yield what a command runs of the working tree."""
    detail = _runs(seen)
    if detail:
        yield seen.found("runs-workspace", detail)


def _runs(seen: Seen) -> str:
    """Return what of the tree runs, in short; "" if nothing is seen to."""
    command = seen.command
    program = seen.program
    if program in _ALWAYS:
        if seen.has("--version", "--help") or seen.args in (["-v"], ["-h"], ["version"]):
            return ""
        return _short(seen)
    verbs = _VERBS.get(program)
    if verbs is not None:
        return _short(seen) if _verb_runs(seen, verbs) else ""
    if _OWN.match(command.argv[0]) or (
        command.argv[0][:1] not in "/$~-[" and "/" in command.argv[0] and _SCRIPT.match(command.argv[0])
    ):
        return command.argv[0]
    if program in ("source", ".") and command.argv[1:]:
        file = command.argv[1]
        return f"{program} {file}" if not re.match(r"[/~$<]", file) or _OWN.match(file) else ""
    if program == "pip":
        return _pip(seen)
    if program in _INTERPRETERS:
        return _interpreter(seen)
    if program == "git" and seen.verb == "submodule":
        return ""
    if program in ("&",) and command.argv[1:] and _OWN.match(command.argv[1]):
        return command.argv[1]
    return ""


def _verb_runs(seen: Seen, verbs: frozenset[str]) -> bool:
    operands = seen.operands(_WITH_VALUE)
    verb = operands[0] if operands else ""
    if not verb:
        # `yarn` alone installs, `python -m build` builds.
        return "-" in verbs and not seen.has("--version", "-v", "--help")
    if seen.program in ("npm", "pnpm", "yarn", "bun") and verb in (
        "install",
        "i",
        "add",
        "ci",
        "install-clean",
        "clean-install",
    ):
        # By name and globally: the tree has no part in it. Without scripts it has little.
        return not (seen.has("-g", "--global", "--location") or seen.has("--ignore-scripts"))
    if seen.program == "uv" and verb == "pip":
        return any(word in (".", "-e", "--editable") or word.startswith("./") for word in seen.args)
    if seen.program == "go" and verb in ("install", "run") and any("@" in word for word in operands[1:]):
        return False
    if seen.program == "cargo" and verb == "install" and not seen.has("--path"):
        return False
    if seen.program in ("docker", "podman", "nerdctl", "buildah") and verb == "buildx":
        return any(word in ("build", "bake") for word in operands)
    if seen.program == "dotnet" and verb == "tool":
        return "restore" in operands
    if seen.program == "yarn" and verb not in verbs and not seen.wrapper:
        # `yarn lint` runs the script of that name.
        return verb not in (
            "config",
            "cache",
            "global",
            "audit",
            "why",
            "info",
            "list",
            "login",
            "set",
            "version",
            "npm",
            "dlx",
            "plugin",
        )
    return verb in verbs


def _pip(seen: Seen) -> str:
    """A project's own build runs, and so does what `-r` names."""
    if seen.verb not in ("install", "wheel", "download"):
        return ""
    links = seen.value("--find-links", "-f")
    if links and "://" not in links and seen.verb != "download":
        return f"pip install --find-links {links}"[:80]  # packages that lie there are installed first
    for index, word in enumerate(seen.args):
        if _WHEEL.fullmatch(word):
            return f"pip install {word}"[:80]
        if re.match(r"\.{1,2}(?:/\S*)?(?:\[.*\])?\Z", word) or (
            word in ("-e", "--editable") and index + 1 < len(seen.args)
        ):
            return "pip install ."
        if (word in ("-r", "--requirement") or word.startswith(("-r", "--requirement="))) and not seen.has(
            "--require-hashes"
        ):
            return _short(seen)
    return ""


def _interpreter(seen: Seen) -> str:
    for word in seen.args:
        if word == "-c" or word == "-e" or word == "-" or word.startswith(("--eval", "-Command", "-EncodedCommand")):
            return ""
        if word.startswith("-") and word not in ("-File", "-jar", "-m"):
            if len(word) > 1 and word[1] != "-" and word.endswith("c"):
                return ""
            continue
        if word in ("-File", "-jar", "-m"):
            continue
        if re.match(r"[/~$<]", word) and not _OWN.match(word):
            return ""  # an absolute path is not of the tree
        if word.startswith(("http://", "https://")):
            return ""
        return (
            f"{seen.program} {word}"
            if _SCRIPT.match(word) or _OWN.match(word) or seen.program in SHELLS or "/" in word
            else ""
        )
    return ""


def _short(seen: Seen) -> str:
    operands = seen.operands(_WITH_VALUE)
    return " ".join([seen.program, *operands[:2]])[:80]
