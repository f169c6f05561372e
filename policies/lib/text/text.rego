# Text that several rules judge alike.
package policyd.lib.text

# `host` is this machine, a private network, a name without a domain (a service beside the stage) or not known yet.
is_near(host) if host in {"", "localhost", "host.docker.internal"}

is_near(host) if regex.match(`^(127\.|10\.|192\.168\.|169\.254\.|0\.0\.0\.0|\[)`, host)

is_near(host) if regex.match(`^[A-Za-z0-9_-]+$`, host)

is_near(host) if regex.match(`\.(local|localhost|internal|test|svc)$`, host)

is_near(host) if regex.match(`[$%<{]`, host)

# The formats of credentials that their issuers made recognisable, with what each opens.
credential_formats := [
	["a GitHub token", `gh[pousr]_[A-Za-z0-9]{36}`],
	["a GitHub token", `github_pat_[A-Za-z0-9_]{60}`],
	["a GitLab token", `glpat-[A-Za-z0-9_-]{20}`],
	["an AWS access key", `(^|[^A-Z0-9])(AKIA|ASIA)[A-Z0-9]{16}($|[^A-Z0-9])`],
	["a Slack token", `xox[abprs]-[A-Za-z0-9-]{10}`],
	["a Google API key", `AIza[A-Za-z0-9_-]{35}`],
	["a Stripe key", `sk_live_[A-Za-z0-9]{20}`],
	["an npm token", `npm_[A-Za-z0-9]{36}`],
	["a PyPI token", `pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{20}`],
	["a private key", `-----BEGIN [A-Z ]*PRIVATE KEY-----`],
]
