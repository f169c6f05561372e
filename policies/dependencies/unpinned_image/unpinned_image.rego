# METADATA
# title: Images are pinned to a digest
# description: >-
#   A tag can be moved to another image, and `latest` moves with every release; what was tested is then not what runs. Seen
#   are images of stages, services and steps, and those that a command of docker, podman or nerdctl runs or pulls. An image
#   that the pipeline itself has just built is left out. Not seen: images whose whole name is a variable, and `FROM` in
#   build files.
# custom:
#   id: dependencies.unpinned_image
#   severity: medium
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-3, NIST-SSDF-PW.4.1]
#   settings:
#     trusted_registries:
#       type: strings
#       default: []
#       tighter: subset
#       description: >-
#         Registries, or repositories in them, whose tags can't be moved: beginnings of image names, such as
#         `registry.example.com/tools/`.
#   remediation: "Write the image as `name:tag@sha256:…`; the tag then only says which version it is."
package policyd.dependencies.unpinned_image

import data.policyd.lib.reference as references

deny contains violation if {
	some reference in input.references
	reference.kind == "image"
	references.is_mutable(reference)
	image := reference.text
	not _is_trusted(image)
	violation := {
		"message": _message(reference),
		"at": reference.at,
	}
}

deny contains violation if {
	some effect in input.effects
	effect.kind == "unpinned-image"
	image := effect.detail
	not _is_trusted(image)
	violation := {
		"message": sprintf("%s takes the image %s, which is not pinned to a digest", [effect.program, effect.detail]),
		"at": effect.at,
		"confidence": effect.confidence,
	}
}

_message(reference) := sprintf("the image %v names no version: it is whatever was pushed last", [reference.text]) if {
	reference.ref in {"", "latest"}
} else := sprintf("the image %v is not pinned to a digest", [reference.text])

_is_trusted(image) if {
	some registry in data.policyd.settings.dependencies.unpinned_image.trusted_registries
	registry != ""
	startswith(image, registry)
}
