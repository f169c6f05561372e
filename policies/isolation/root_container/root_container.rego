# METADATA
# title: No container is told to run as root
# description: >-
#   Root in a container is one mistake of the runtime away from root on the host, and may change everything in the image.
#   Seen are security contexts of steps, sidecars and templates that name user 0. Not seen: images whose own user is root.
# custom:
#   id: isolation.root_container
#   severity: low
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-7]
#   applies_to: [tekton]
#   confidence: medium
#   remediation: "Name another user (`runAsUser: 65532`, `runAsNonRoot: true`), and a builder of images that needs no root."
package policyd.isolation.root_container

deny contains violation if {
	some effect in input.effects
	effect.kind == "root-container"
	violation := {"message": sprintf("%s tells a container to run as root", [effect.text]), "at": effect.at}
}
