# METADATA
# title: Packages are installed from a lock file
# description: >-
#   A package installed by name is whatever the index serves at that moment; a lock file with hashes names the bytes.
#   Seen are pip, pipx, uv, conda, npm, pnpm, yarn, bun, gem, cargo, go, dotnet, composer and their like; not seen are
#   installs inside scripts, Makefiles and images. Signed packages of an operating system are left out.
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

deny contains violation if {
	some effect in input.effects
	effect.kind == "unlocked-install"
	violation := {
		"message": sprintf("%s installs %s by name, not from a lock file", [effect.program, effect.detail]),
		"at": effect.at,
	}
}
