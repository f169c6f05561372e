package policyd.dependencies.unlocked_install_test

import data.policyd.dependencies.unlocked_install

command(argv) := {
	"text": concat(" ", argv), "program": argv[0], "argv": argv, "pipes_to": "", "shell": "bash", "untrusted": false,
	"at": ["commands", 0], "stage": "build",
}

denied(argv) if {
	count(unlocked_install.deny) > 0 with input.commands as [command(argv)]
}

fine(argv) if {
	count(unlocked_install.deny) == 0 with input.commands as [command(argv)]
}

test_pip_by_name_is_denied if denied(["pip", "install", "requests"])

test_pip_by_version_is_denied if denied(["python3", "-m", "pip", "install", "-q", "requests[socks]==2.0"])

test_pip_message_names_the_package if {
	found := unlocked_install.deny with input.commands as [command(["pip", "install", "requests"])]
	found == {{"message": "pip installs requests by name, not from a lock file", "at": ["commands", 0]}}
}

test_npm_by_name_is_denied if denied(["npm", "install", "-g", "eslint"])

test_scoped_npm_is_denied if denied(["yarn", "add", "@types/node@20"])

test_gem_is_denied if denied(["gem", "install", "bundler"])

test_cargo_is_denied if denied(["cargo", "install", "cargo-audit"])

test_go_latest_is_denied if denied(["go", "install", "golang.org/x/vuln/cmd/govulncheck@latest"])

test_requirements_file_is_fine if fine(["pip", "install", "-r", "requirements.txt"])

test_hashes_are_fine if fine(["pip", "install", "--require-hashes", "requests"])

test_own_project_is_fine if fine(["pip", "install", "-e", "."])

test_pip_itself_is_fine if fine(["pip", "install", "--upgrade", "pip"])

test_wheel_file_is_fine if fine(["pip", "install", "dist/x-1.0-py3-none-any.whl"])

test_npm_ci_is_fine if fine(["npm", "ci"])

test_npm_install_without_names_is_fine if fine(["npm", "install", "--no-audit"])

test_cargo_locked_is_fine if fine(["cargo", "install", "--locked", "cargo-audit"])

test_go_version_is_fine if fine(["go", "install", "golang.org/x/vuln/cmd/govulncheck@v1.1.4"])

test_program_alone_is_fine if fine(["npm"])

test_no_words_is_fine if {
	count(unlocked_install.deny) == 0 with input.commands as [object.union(command(["x"]), {"argv": []})]
}

test_no_commands_is_fine if {
	count(unlocked_install.deny) == 0 with input.commands as []
}
