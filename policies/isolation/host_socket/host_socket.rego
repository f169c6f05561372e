# METADATA
# title: Containers do not get the container engine's socket
# description: >-
#   Who can talk to the engine's socket is root on the host: it starts a container with everything mounted. A read-only
#   mount does not help, a socket works through it. Seen are mounts of the sockets of Docker, containerd, Podman and
#   CRI-O, and of the folder they lie in. Not seen: mounts that the runner's configuration makes.
# custom:
#   id: isolation.host_socket
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7, SLSA-BUILD-L3, NIST-SSDF-PO.5.1]
#   remediation: >-
#     Remove the mount. To build images use a builder that needs no socket (rootless BuildKit, Buildah, Kaniko), to
#     test with containers the CI system's services.
package policyd.isolation.host_socket

deny contains violation if {
	some effect in input.effects
	effect.kind == "host-socket"
	violation := {
		"message": sprintf("a container gets the engine's socket: %s", [effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}
