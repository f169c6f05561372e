# METADATA
# title: Packages are installed from a lock file
# description: >-
#   A package installed by name is whatever the index serves at that moment; a lock file with hashes names the bytes.
#   Seen are pip, npm, pnpm, yarn, gem, cargo and go; not seen are installs inside scripts, Makefiles and images.
# custom:
#   id: dependencies.unlocked_install
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.4.1]
#   confidence: medium
#   remediation: >-
#     Put the package into a lock file with hashes and install from it (`pip install --require-hashes -r …`, `npm ci`,
#     `cargo install --locked`, `go install` at a version).
package policyd.dependencies.unlocked_install

import data.policyd.lib.shell

deny contains violation if {
	some command in input.commands
	some package_name in _packages(command)
	violation := {
		"message": sprintf("%s installs %v by name, not from a lock file", [command.program, package_name]),
		"at": command.at,
	}
}

_pip_takes_value := {
	"-r", "--requirement", "-c", "--constraint", "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t",
	"--target", "--prefix", "--root", "--trusted-host", "--platform", "--python-version", "--proxy", "--timeout",
	"--retries", "--cache-dir", "--log", "--src", "--upgrade-strategy", "--no-binary", "--only-binary", "--progress-bar",
	"--python",
}

# pip install NAME, python -m pip install NAME. `pip install .`, paths, wheels, URLs and pip itself are left out.
_packages(command) := [word |
	some i, word in command.argv
	some verb, install in command.argv
	install == "install"
	i > verb
	regex.match(`^[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]*\])?([=<>!~].*)?$`, word)
	word != "pip"
	not endswith(word, ".whl")
	before := command.argv[i - 1]
	not before in _pip_takes_value
	not _pip_locked(command)
] if {
	_is_pip(command)
}

_packages(command) := [word |
	some i, word in command.argv
	i > 1
	regex.match(`^@?[a-z0-9][a-z0-9._-]*(/[a-z0-9._-]+)?(@.*)?$`, word)
] if {
	command.program in {"npm", "pnpm", "yarn"}
	command.argv[1] in {"install", "i", "add"}
}

_packages(command) := [word |
	some i, word in command.argv
	i > 1
	before := command.argv[i - 1]
	not startswith(before, "-")
	regex.match(`^[a-z][A-Za-z0-9_-]*$`, word)
] if {
	command.program == "gem"
	command.argv[1] == "install"
}

_packages(command) := [word |
	some word in array.slice(command.argv, 2, 64)
	regex.match(`^[a-z][A-Za-z0-9_-]*$`, word)
	not shell.has_word(command, {"--locked", "--path"})
] if {
	command.program == "cargo"
	command.argv[1] == "install"
}

_packages(command) := [word |
	some word in array.slice(command.argv, 2, 64)
	regex.match(`@(latest|master|main)$`, word)
] if {
	command.program == "go"
	command.argv[1] in {"install", "run"}
}

_is_pip(command) if command.program in {"pip", "pip3"}

_is_pip(command) if {
	startswith(command.program, "python")
	command.argv[1] == "-m"
	command.argv[2] == "pip"
}

_pip_locked(command) if shell.has_word(command, {"--require-hashes", "--no-index"})
