"""What setting a variable does, in a pipeline's settings, in a script or in a file of variables."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyd.models.facts import EffectKind, VariableOrigin
from policyd.pipeline.effects.credentials import find_format, find_in_address, looks_like_credential
from policyd.pipeline.effects.found import FoundEffect
from policyd.pipeline.effects.hosts import URL, is_near
from policyd.pipeline.effects.tables import words

_ON = frozenset(("1", "true", "yes", "on", "y", "t"))
_OFF = frozenset(("0", "false", "no", "off", "n"))
#: Names whose being switched on, or off, does something.
_SWITCHED_ON: dict[str, EffectKind] = {
    "AZURE_CLI_DISABLE_CONNECTION_VERIFICATION": "tls-off",
    "HELM_KUBEINSECURE_SKIP_TLS_VERIFY": "tls-off",
    "VAULT_SKIP_VERIFY": "tls-off",
    "TRIVY_INSECURE": "tls-off",
    "HEX_UNSAFE_HTTPS": "tls-off",
    "COMPOSER_DISABLE_TLS": "tls-off",
    "TF_HTTP_SKIP_CERT_VERIFICATION": "tls-off",
    "KUBE_INSECURE": "tls-off",
    "ANSIBLE_GALAXY_IGNORE": "tls-off",
    "GONOSUMCHECK": "signature-off",
    "ACTIONS_STEP_DEBUG": "debug",
    "ACTIONS_RUNNER_DEBUG": "debug",
    "CI_DEBUG_TRACE": "debug",
    "CI_DEBUG_SERVICES": "debug",
    "SYSTEM_DEBUG": "debug",
    "SYSTEM.DEBUG": "debug",
    "GIT_CURL_VERBOSE": "debug",
    "GIT_TRACE_CURL": "debug",
    "ACTIONS_ALLOW_UNSECURE_COMMANDS": "log-commands",
}
_SWITCHED_OFF: dict[str, EffectKind] = {
    "NODE_TLS_REJECT_UNAUTHORIZED": "tls-off",
    "PYTHONHTTPSVERIFY": "tls-off",
    "PERL_LWP_SSL_VERIFY_HOSTNAME": "tls-off",
    "NPM_CONFIG_STRICT_SSL": "tls-off",
    "YARN_ENABLE_STRICT_SSL": "tls-off",
    "CONDA_SSL_VERIFY": "tls-off",
    "BUNDLE_SSL_VERIFY_MODE": "tls-off",
    "CONSUL_HTTP_SSL_VERIFY": "tls-off",
    "ANSIBLE_HOST_KEY_CHECKING": "tls-off",
    "DOCKER_CONTENT_TRUST": "signature-off",
    "GOSUMDB": "signature-off",
}
#: Of terraform: these levels print requests, with the credentials and the state in them.
_LEVELS = {name: frozenset(("trace", "debug", "json")) for name in ("TF_LOG", "TF_LOG_PROVIDER", "TF_LOG_CORE")}
#: Compared with a zero, so that another word leaves the check on.
_OFF_AT_ZERO = frozenset(("NODE_TLS_REJECT_UNAUTHORIZED", "PYTHONHTTPSVERIFY"))
_SET_AT_ALL: dict[str, EffectKind] = {
    "GIT_SSL_NO_VERIFY": "tls-off",  # git asks whether it is set, not to what
    "PIP_TRUSTED_HOST": "tls-off",
    "GOINSECURE": "tls-off",
    "UV_INSECURE_HOST": "tls-off",
}
#: What an empty value switches off. curl's is heeded by Python's requests before 2.28.
_EMPTIED = frozenset(("DOCKER_TLS_CERTDIR", "CURL_CA_BUNDLE", "GIT_SSL_NO_VERIFY"))
#: Modules that the checksum database is not asked about; a pattern for all of them switches it off.
_UNLISTED = frozenset(("GONOSUMDB", "GOPRIVATE"))
_JAVA_WITHOUT_TLS = re.compile(
    r"-Dmaven\.wagon\.http\.ssl\.(?:insecure|allowall)=true|-Daether\.connector\.https\.securityMode=insecure"
    r"|-Dtrust_all_cert=true"
)
_LOADERS = (
    (frozenset(("LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES")), None, "makes every program load a library first"),
    (frozenset(("BASH_ENV", "PROMPT_COMMAND")), None, "makes every shell run a file first"),
    (
        frozenset(("PYTHONSTARTUP", "PERL5OPT", "PERL5DB", "RUBYOPT")),
        r"[/.]|-[rM]",
        "makes every interpreter run a file first",
    ),
    (
        frozenset(("NODE_OPTIONS",)),
        r"--(?:require|import|loader|experimental-loader)|(?:^|[ \t])-r[ \t=]",
        "makes node load a file first",
    ),
    (
        frozenset(("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS")),
        r"-(?:javaagent|agentpath|agentlib)",
        "makes java load an agent first",
    ),
    (
        frozenset(("GIT_EXTERNAL_DIFF", "GIT_PROXY_COMMAND", "GIT_EXEC_PATH", "GIT_PAGER", "GIT_SSH_COMMAND")),
        r"^(?!(?:cat|less)?$)(?!ssh\b)",
        "makes git run another program",
    ),
    (
        frozenset(("PATH",)),
        r"^(?:\.(?:/|:|$)|\.[^/:]|:|/tmp|/var/tmp|/dev/shm)|:(?:\.(?:/|:|$)|:|/tmp|/var/tmp|/dev/shm)|:$",
        "lets programs of the working folder or of /tmp stand in for others",
    ),
)
_LOADS: dict[str, tuple[re.Pattern[str] | None, str]] = {
    name: (re.compile(pattern) if pattern else None, why) for names, pattern, why in _LOADERS for name in names
}
_INDEXES = words(
    """
    PIP_INDEX_URL PIP_EXTRA_INDEX_URL UV_INDEX_URL UV_DEFAULT_INDEX NPM_CONFIG_REGISTRY GOPROXY CARGO_REGISTRY_INDEX
    BUNDLE_MIRROR YARN_NPM_REGISTRY_SERVER
    """
)


def find_variable_effects(
    name: str,
    value: str,
    origin: VariableOrigin = "environment",
    *,
    literal: bool = True,
) -> Iterator[FoundEffect]:
    """Yield what setting the variable `name` to `value` does. `literal` says that nothing is expanded in the value."""
    found = find_format(value)
    if found:
        yield FoundEffect("literal-credential", found, text=name)
    elif literal and origin == "credentials":
        # What a registry is given to log in is there to be secret, whatever it looks like.
        if value and re.search(r"password|token|secret|key", name, re.I) and "$" not in value:
            yield FoundEffect("literal-credential", "a registry's password", text=name)
    elif literal and "://" in value and find_in_address(value):
        yield FoundEffect("literal-credential", "a password in an address", text=name, confidence="medium")
    elif literal and looks_like_credential(name, value):
        yield FoundEffect("literal-credential", "what seems a credential", text=name, confidence="medium")
    if origin == "environment":
        yield from find_switches(name, value)


def find_switches(name: str, value: str) -> Iterator[FoundEffect]:
    """Yield what a variable of the environment switches on or off, or makes programs load."""
    upper = name.upper()
    setting = value.strip().lower()
    if setting in _ON:
        kind = _SWITCHED_ON.get(upper)
        if kind:
            yield FoundEffect(kind, name, text=value)
    elif setting in _OFF:
        kind = _SWITCHED_OFF.get(upper)
        if kind and (setting == "0" or upper not in _OFF_AT_ZERO):
            yield FoundEffect(
                kind, name, text=value, confidence="low" if upper == "ANSIBLE_HOST_KEY_CHECKING" else "high"
            )
    if setting in _LEVELS.get(upper, ()):
        yield FoundEffect("debug", name, text=value)
    if not setting:
        if upper in _EMPTIED:
            yield _by_being_set(name, value)
        return
    kind = _SET_AT_ALL.get(upper)
    if kind:
        yield _by_being_set(name, value) if setting in _OFF else FoundEffect(kind, name, text=value)
    elif (upper in _UNLISTED and "*" in value.split(",")) or (upper == "GOFLAGS" and "-insecure" in value):
        yield FoundEffect("signature-off", name, text=value)
    elif upper in ("MAVEN_OPTS", "JAVA_OPTS", "GRADLE_OPTS", "JAVA_TOOL_OPTIONS", "MAVEN_CLI_OPTS") and (
        found := _JAVA_WITHOUT_TLS.search(value)
    ):
        yield FoundEffect("tls-off", found[0], text=value)
    elif upper == "DOCKER_HOST" and re.match(r"tcp://[^\s]*:2375\b", value):
        yield FoundEffect("tls-off", name, text=value)
    elif upper in _INDEXES:
        url = URL.search(value)
        if url and url["scheme"] in ("http", "git", "ftp") and not is_near(url["host"]):
            yield FoundEffect("insecure-url", url[0], text=name)
    elif name in _LOADS:
        pattern, why = _LOADS[name]
        if pattern is None or pattern.search(value):
            yield FoundEffect("loads-code", why, text=name)


def _by_being_set(name: str, value: str) -> FoundEffect:
    """Return what a variable does whose value says otherwise, or nothing."""
    if name.upper() == "DOCKER_TLS_CERTDIR":
        return FoundEffect("tls-off", name, text=value)
    detail = f"{name}, set to anything at all," if name.upper() == "GIT_SSL_NO_VERIFY" else name
    return FoundEffect("tls-off", detail, text=value, confidence="medium")
