# Text that several rules judge alike.
package policyd.lib.text

# `host` is this machine, a private network, a name without a domain (a service beside the stage) or not known yet.
is_near(host) if host in {"", "localhost", "host.docker.internal"}

is_near(host) if regex.match(`^(127\.|10\.|192\.168\.|169\.254\.|0\.0\.0\.0|\[)`, host)

is_near(host) if regex.match(`^[A-Za-z0-9_-]+$`, host)

is_near(host) if regex.match(`\.(local|localhost|internal|test|svc)$`, host)

is_near(host) if regex.match(`[$%<{]`, host)

# What of `text` has the format of a credential that its issuer made recognisable.
credentials_in(text) := {name |
	some name, found in {
		"a GitHub token": regex.match(`gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60}`, text),
		"a GitLab token": regex.match(`glpat-[A-Za-z0-9_-]{20}`, text),
		"an AWS access key": regex.match(`(^|[^A-Z0-9])(AKIA|ASIA)[A-Z0-9]{16}($|[^A-Z0-9])`, text),
		"a Slack token": regex.match(`xox[abprs]-[A-Za-z0-9-]{10}`, text),
		"a Google API key": regex.match(`AIza[A-Za-z0-9_-]{35}`, text),
		"a Stripe key": regex.match(`sk_live_[A-Za-z0-9]{20}`, text),
		"an npm token": regex.match(`npm_[A-Za-z0-9]{36}`, text),
		"a PyPI token": regex.match(`pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20}`, text),
		"a private key": regex.match(`-----BEGIN [A-Z ]*PRIVATE KEY-----`, text),
	}
	found
}
