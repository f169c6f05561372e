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
	some container in input.containers
	some volume in container.volumes
	_is_of_the_host(volume)
	violation := {
		"message": sprintf("the container %s gets %s of the host", [container.image, volume]),
		"at": container.at,
	}
}

deny contains violation if {
	some container in input.containers
	some volume in _mounts(container.options)
	_is_of_the_host(volume)
	violation := {
		"message": sprintf("the container %s gets %v of the host", [container.image, volume]),
		"at": container.at,
	}
}

deny contains violation if {
	some command in input.commands
	command.program in {"docker", "podman", "nerdctl"}
	some volume in _mounts(command.text)
	_is_of_the_host(volume)
	violation := {
		"message": sprintf("%s gives a container %v of the host", [command.program, volume]),
		"at": command.at,
	}
}

_mounts(text) := [found[1] |
	some found in regex.find_all_string_submatch_n(
		`(?:^|[ \t\n])(?:-v|--volume|--mount)[= \t]*["']?((?:[a-z]+=[a-z]+,)*(?:(?:src|source)=)?/[^ \t\n"']*)`,
		text, -1,
	)
]

_is_of_the_host(volume) if {
	regex.match(`(docker|containerd|podman|crio)[a-z-]*\.sock`, volume)
}

_is_of_the_host(volume) if {
	regex.match(`^([a-z]+=[a-z]+,)*((src|source)=)?/((etc|root|proc|sys|dev|boot|run|var/run)/?)?([:,].*)?$`, volume)
}
