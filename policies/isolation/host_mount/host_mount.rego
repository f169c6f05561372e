# METADATA
# title: Containers do not get folders of the host
# description: >-
#   A container with the host's root, `/etc`, `/proc` or the engine's data can read the secrets of other stages and change
#   what runs there next, also when it is not privileged. Seen are mounts of such folders, and on Tekton every `hostPath`,
#   with less confidence for `/data`, `/tmp` and their like. Not seen: folders named by a variable, and mounts that the
#   runner's configuration makes.
# custom:
#   id: isolation.host_mount
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7, SLSA-BUILD-L3, NIST-SSDF-PO.5.1]
#   remediation: >-
#     Mount the one folder of the workspace that is needed. On Tekton use a workspace, `emptyDir` or a persistent volume
#     claim.
package policyd.isolation.host_mount

deny contains violation if {
	some effect in input.effects
	effect.kind == "host-mount"
	violation := {
		"message": sprintf("a container gets a folder of the host: %s", [effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}
