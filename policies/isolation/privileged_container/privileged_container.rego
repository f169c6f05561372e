# METADATA
# title: Containers run without the powers of the host
# description: >-
#   A privileged container, or one that shares the host's processes or has all capabilities, is no boundary: what runs
#   in it can take over the machine and the stages that run there next. Seen are options of containers and engines,
#   security contexts of steps and pods, and, with less confidence, Docker in Docker, which only starts on a runner whose
#   containers are all privileged. Not seen: settings of the container runtime or runner.
# custom:
#   id: isolation.privileged_container
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7, SLSA-BUILD-L3, NIST-SSDF-PO.5.1]
#   remediation: >-
#     Remove the option and grant the one capability or device that is needed. To build images use a builder that needs
#     no privileges (rootless BuildKit, Buildah, Kaniko).
package policyd.isolation.privileged_container

deny contains violation if {
	some effect in input.effects
	effect.kind == "privileged-container"
	violation := {
		"message": sprintf("a container runs with powers of the host: %s", [effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}
