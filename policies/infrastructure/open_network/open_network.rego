# METADATA
# title: Administration is not open to the internet
# description: >-
#   A rule that lets every address reach ssh, remote desktop, a database or all ports is tried by everyone who scans the
#   internet. Seen in Terraform plans for AWS and Google Cloud; not seen are ranges of ports of the latter.
# custom:
#   id: infrastructure.open_network
#   severity: high
#   gate: stage
#   controls: [OWASP-CICD-SEC-7]
#   remediation: Name the addresses that need it, or use a tunnel that knows who connects.
package policyd.infrastructure.open_network

import data.policyd.lib.terraform

deny contains violation if {
	some [change, at] in terraform.changes
	some rule in _rules_in(change.type, change.change.after)
	_is_everyone(rule.from)
	_reaches_administration(rule)
	violation := {"message": sprintf("%v would let the whole internet in", [change.address]), "at": at}
}

_rules_in(kind, after) := [{"from": _sources(rule), "low": rule.from_port, "high": rule.to_port, "protocol": rule.protocol} |
	some rule in terraform.list(object.get(after, "ingress", []))
	is_object(rule)
] if {
	kind in {"aws_security_group", "aws_default_security_group"}
}

_rules_in(kind, after) := [{"from": _sources(after), "low": after.from_port, "high": after.to_port, "protocol": after.protocol}] if {
	kind == "aws_security_group_rule"
	after.type == "ingress"
}

_rules_in(kind, after) := [{
	"from": [after.cidr_ipv4],
	"low": object.get(after, "from_port", 0),
	"high": object.get(after, "to_port", 65535),
	"protocol": after.ip_protocol,
}] if {
	kind == "aws_vpc_security_group_ingress_rule"
}

_rules_in(kind, after) := [{"from": terraform.list(object.get(after, "source_ranges", [])), "low": low, "high": high, "protocol": "tcp"} |
	some allowed in terraform.list(object.get(after, "allow", []))
	is_object(allowed)
	some port in terraform.list(object.get(allowed, "ports", []))
	some [low, high] in [_port_range(port)]
] if {
	kind == "google_compute_firewall"
	object.get(after, "direction", "INGRESS") == "INGRESS"
}

_sources(rule) := array.concat(
	terraform.list(object.get(rule, "cidr_blocks", [])),
	terraform.list(object.get(rule, "ipv6_cidr_blocks", [])),
)

_is_everyone(sources) if {
	some source in sources
	source in {"0.0.0.0/0", "::/0"}
}

_administration := [22, 23, 1433, 2375, 3306, 3389, 5432, 5900, 6379, 6443, 9200, 11211, 27017]

_reaches_administration(rule) if rule.protocol == "-1"

_reaches_administration(rule) if {
	is_number(rule.low)
	is_number(rule.high)
	some port in _administration
	rule.low <= port
	port <= rule.high
}

# "22" or "1000-2000" of Google, as the ports of the list above it covers.
_port_range(text) := [port, port] if {
	some port in _administration
	text == sprintf("%v", [port])
}
