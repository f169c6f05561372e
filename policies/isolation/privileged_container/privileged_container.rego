# METADATA
# title: Containers run without the powers of the host
# description: >-
#   A privileged container, or one that shares the host's processes or has all capabilities, is no boundary: what runs
#   in it can take over the machine and the stages that run there next. Not seen: settings of the container runtime.
# custom:
#   id: isolation.privileged_container
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7, SLSA-BUILD-L3]
#   remediation: >-
#     Remove the option and grant the one capability or device that is needed. To build images use a builder that needs
#     no privileges (rootless BuildKit, Buildah, Kaniko).
package policyd.isolation.privileged_container

deny contains violation if {
	some container in input.containers
	_is_powerful(container)
	violation := {
		"message": sprintf("the container %s runs with powers of the host", [container.image]),
		"at": container.at,
	}
}

deny contains violation if {
	some command in input.commands
	command.program in {"docker", "podman", "nerdctl"}
	command.argv[1] in {"run", "create", "container", "compose"}
	_has_power(command.text)
	violation := {
		"message": sprintf("%s starts a container with powers of the host", [command.program]),
		"at": command.at,
	}
}

_is_powerful(container) if container.privileged

_is_powerful(container) if {
	_has_power(container.options)
}

_has_power(options) if {
	regex.match(
		`(^|[ \t\n])--(privileged($|[ \t\n]|=true)|cap-add[= ](ALL|all|SYS_ADMIN|CAP_SYS_ADMIN)|(pid|ipc|userns|uts)[= ]host|security-opt[= ]"?(seccomp|apparmor)[=:]unconfined|device[= ]/dev/(mem|kmem|sd))`,
		options,
	)
}
