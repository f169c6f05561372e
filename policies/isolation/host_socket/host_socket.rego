# METADATA
# title: Containers do not get the host's sockets and folders
# description: >-
#   Who can talk to the container runtime's socket, or write to the host's root, is root on the host: it starts a
#   container with everything mounted. A read-only mount does not help, a socket works through it.
# custom:
#   id: isolation.host_socket
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7, SLSA-BUILD-L3]
#   remediation: >-
#     Remove the mount. To build images use a builder that needs no socket (rootless BuildKit, Buildah, Kaniko), to
#     test with containers the CI system's services.
package policyd.isolation.host_socket

deny contains violation if {
	some effect in input.effects
	effect.kind in {"host-socket", "host-mount"}
	violation := {
		"message": sprintf("a container gets %s of the host", [effect.detail]),
		"at": effect.at,
	}
}
