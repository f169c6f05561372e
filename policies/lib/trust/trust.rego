# What stands between an outsider and a stage, for all systems alike.
package policyd.lib.trust

# What comes from the repository itself, was merged, or is left to events that only members cause: no outsider's then.
is_ours(guards) if {
	some guard in guards
	guard in {"same-repository", "merged", "event", "protected"}
}

# What a member has let pass. It lifts nothing where the code can change between that and its use.
is_let_pass(guards) if {
	some guard in guards
	guard in {"approval", "label", "actor", "association", "permission"}
}

is_guarded(guards) if is_ours(guards)

is_guarded(guards) if is_let_pass(guards)

# Code in a folder of its own lies there until something of it runs.
may_run(checkout) if checkout.runs != ""

may_run(checkout) if checkout.path == ""

# How sure it is that the code of a checkout runs.
confidence(checkout) := "high" if checkout.runs != ""

confidence(checkout) := "medium" if checkout.runs == ""

# What runs of a checkout, as related places.
runs_of(checkout) := [] if checkout.runs == ""

runs_of(checkout) := [{"message": "what runs of it", "at": checkout.runs_at}] if checkout.runs != ""
