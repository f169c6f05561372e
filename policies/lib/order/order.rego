# Which stages have to come before which, for all systems alike.
package policyd.lib.order

# Stages that do one of `purposes` and neither do `wanted` themselves nor need a stage that does.
#
# A native pipeline says of each stage what it is for, and is all there is to a run. Elsewhere a pipeline may leave tests
# to another one: there it counts where the pipeline has `wanted`, or where it is `required`.
stages_without(wanted, purposes, required) := found if {
	early := _before(wanted)
	present := [other.name | some other in input.stages; wanted in other.purposes]
	found := [stage |
		some stage in input.stages
		_asks(stage, purposes)
		own := stage.purposes
		not wanted in own
		before := stage.needs_kinds
		not wanted in before
		_counts(stage, required, count(present))
		name := stage.name
		not name in early
	]
}

# What a test needs is not what was to be tested: an image that tests run in, say.
_before(wanted) := {name |
	some other in input.stages
	wanted in other.purposes
	other.kind == ""
	some name in other.needs
}

_asks(stage, purposes) if {
	some purpose in stage.purposes
	purpose in purposes
}

_counts(stage, _, _) if stage.kind != ""

_counts(stage, true, _) if stage.kind == ""

_counts(stage, false, present) if {
	stage.kind == ""
	present > 0
}

confidence(stage) := "high" if stage.kind != ""

confidence(stage) := "medium" if stage.kind == ""
