package policyd.infrastructure.open_network_test

import data.policyd.infrastructure.open_network

plan(kind, after) := {"stage": {"kind": "deploy"}, "results": [{"stage": "plan", "name": "terraform", "document": {"resource_changes": [{
	"address": sprintf("%v.x", [kind]), "type": kind, "change": {"actions": ["create"], "before": null, "after": after},
}]}}]}

rule(low, high, protocol, from) := {
	"type": "ingress", "from_port": low, "to_port": high, "protocol": protocol, "cidr_blocks": from,
}

denied(document) if {
	count(open_network.deny) == 1 with input as document
}

fine(document) if {
	count(open_network.deny) == 0 with input as document
}

test_ssh_for_everyone_is_denied if {
	found := open_network.deny with input as plan("aws_security_group_rule", rule(22, 22, "tcp", ["0.0.0.0/0"]))
	found == {{
		"message": "aws_security_group_rule.x would let the whole internet in",
		"at": ["results", 0, "document", "resource_changes", 0],
	}}
}

test_rule_inside_a_group_is_denied if {
	denied(plan("aws_security_group", {"ingress": [rule(443, 443, "tcp", ["0.0.0.0/0"]), rule(0, 65535, "tcp", ["0.0.0.0/0"])]}))
}

test_all_protocols_are_denied if denied(plan("aws_security_group_rule", rule(0, 0, "-1", ["0.0.0.0/0"])))

test_newer_rule_is_denied if {
	denied(plan("aws_vpc_security_group_ingress_rule", {
		"cidr_ipv4": "0.0.0.0/0", "from_port": 3389, "to_port": 3389, "ip_protocol": "tcp",
	}))
}

test_firewall_of_google_is_denied if {
	denied(plan("google_compute_firewall", {
		"direction": "INGRESS", "source_ranges": ["0.0.0.0/0"], "allow": [{"protocol": "tcp", "ports": ["22"]}],
	}))
}

test_web_for_everyone_is_fine if fine(plan("aws_security_group_rule", rule(443, 443, "tcp", ["0.0.0.0/0"])))

test_ssh_for_some_is_fine if fine(plan("aws_security_group_rule", rule(22, 22, "tcp", ["10.0.0.0/8"])))

test_outgoing_rule_is_fine if {
	fine(plan("aws_security_group_rule", object.union(rule(0, 0, "-1", ["0.0.0.0/0"]), {"type": "egress"})))
}

test_ports_that_are_not_known_are_fine if fine(plan("aws_security_group_rule", rule(null, null, "tcp", ["0.0.0.0/0"])))

test_missing_fields_are_fine if fine(plan("aws_security_group_rule", {}))

test_rules_that_are_no_list_are_fine if fine(plan("aws_security_group", {"ingress": "all"}))

test_no_result_is_fine if fine({"stage": {"kind": "deploy"}, "results": []})
