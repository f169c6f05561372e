# Versions as they stand in tags and comments, as texts that `semver.compare` takes.
package policyd.lib.version

# The newest version that a tag can mean: `v4` is moved from release to release, so it counts as the last of them.
# Undefined for what is no version.
newest(text) := version if {
	regex.match(`^v?(0|[1-9][0-9]{0,5})(\.(0|[1-9][0-9]{0,5})){0,2}([-+][0-9A-Za-z.+-]*)?$`, text)
	numbers_found := regex.find_n(`[0-9]+(\.[0-9]+){0,2}`, text, 1)
	plain := numbers_found[0]
	parts := array.concat(split(plain, "."), ["999999", "999999"])
	version := concat(".", array.slice(parts, 0, 3))
}

# The first version in a comment, as it is written. Undefined where there is none.
in_comment(comment) := found if {
	versions := regex.find_n(`v?[0-9]+(\.[0-9]+){1,2}|v[0-9]+`, comment, 1)
	found := versions[0]
}
