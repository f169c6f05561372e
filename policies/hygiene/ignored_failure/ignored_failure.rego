# METADATA
# title: A failing test or scan fails its stage
# description: >-
#   `pytest || true` lets a stage succeed whatever the tests say, so what comes after relies on a check that can't fail.
#   Seen for well-known test and scan programs; not seen are failures ignored in scripts, Makefiles and tools' options.
# custom:
#   id: hygiene.ignored_failure
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-1]
#   confidence: medium
#   remediation: Let the command fail. Exclude the one test or finding that is known, with the reason beside it.
package policyd.hygiene.ignored_failure

deny contains violation if {
	some i, command in input.commands
	_checks(command)
	next := input.commands[i + 1]
	next.stage == command.stage
	_does_nothing(next)
	violation := {
		"message": sprintf("a failure of %s is ignored", [command.program]),
		"at": command.at,
		"related": [{"message": "this succeeds in its place", "at": next.at}],
	}
}

_does_nothing(command) if {
	command.program in {"true", ":"}
	count(command.argv) == 1
}

_does_nothing(command) if command.argv == ["exit", "0"]

_checks(command) if {
	command.program in {
		"pytest", "tox", "nox", "unittest", "jest", "vitest", "mocha", "phpunit", "rspec", "ctest", "trivy", "grype",
		"snyk", "bandit", "semgrep", "gitleaks", "trufflehog", "checkov", "tfsec", "zizmor", "poutine", "conftest", "opa",
		"pip-audit", "govulncheck", "cosign", "slsa-verifier", "policyd", "codeql", "osv-scanner",
	}
}

_checks(command) if {
	command.program in {"npm", "pnpm", "yarn", "go", "cargo", "make", "mvn", "gradle", "dotnet", "bazel", "gradlew"}
	some word in command.argv
	word in {"test", "audit", "check", "verify"}
}

_checks(command) if {
	startswith(command.program, "python")
	command.argv[1] == "-m"
	command.argv[2] in {"pytest", "unittest", "tox", "nox", "bandit", "pip_audit"}
}
