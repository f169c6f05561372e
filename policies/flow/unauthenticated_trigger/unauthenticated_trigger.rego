# METADATA
# title: Who starts a pipeline has to prove who they are
# description: >-
#   An event listener without an interceptor that checks a signature or token starts the pipeline for anyone who can
#   reach its address, with any content: repository, commit and parameters are then the caller's. Not seen: checks by a
#   gateway before the listener.
# custom:
#   id: flow.unauthenticated_trigger
#   severity: high
#   gate: pipeline
#   controls: [OWASP-CICD-SEC-2, OWASP-CICD-SEC-1]
#   applies_to: [tekton]
#   remediation: >-
#     Add the interceptor of your forge with `secretRef` (github, gitlab, bitbucket) before all others, or one of your own
#     that checks the signature.
package policyd.flow.unauthenticated_trigger

deny contains violation if {
	some trigger in input.triggers
	not trigger.authenticated
	violation := {"message": sprintf("anyone who reaches the listener can start this (%s)", [trigger.event]), "at": trigger.at}
}
