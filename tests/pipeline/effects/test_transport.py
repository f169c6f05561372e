"""Connections whose other end is not verified, and signatures that are not checked."""

from __future__ import annotations

import pytest

from policyd.pipeline.effects import find_variable_effects
from tests.pipeline.effects.said import details


@pytest.mark.parametrize(
    "script",
    [
        "curl -k https://x.example",
        "curl -fsSLk https://x.example",
        "curl --insecure https://x.example",
        "curl -k https://10.0.0.3/",
        "wget --no-check-certificate https://x.example",
        "git -c http.sslVerify=false clone https://x.example/r",
        "git config --global http.sslVerify false",
        "git config http.https://x.example.sslverify 'false'",
        "pip install --trusted-host pypi.example.com x",
        "python -m pip install --trusted-host=pypi.example.com x",
        "npm config set strict-ssl false",
        "yarn config set strict-ssl false",
        'yarn config set "strict-ssl" false',
        "apt-get -o Acquire::https::Verify-Peer=false update",
        "dnf --setopt=sslverify=0 install x",
        "lftp -e 'set ssl:verify-certificate no; mirror' host",
        "kubectl --insecure-skip-tls-verify=true get pods",
        "helm upgrade x y --insecure-skip-tls-verify",
        "skopeo copy --src-tls-verify=false a b",
        "podman push --tls-verify=false x",
        "aws --no-verify-ssl s3 ls",
        "conda config --set ssl_verify false",
        "mvn -Dmaven.wagon.http.ssl.insecure=true deploy",
        "mvn -Daether.connector.https.securityMode=insecure verify",
        "export NODE_TLS_REJECT_UNAUTHORIZED=0",
        "NODE_TLS_REJECT_UNAUTHORIZED=0 npm ci",
        "env GIT_SSL_NO_VERIFY=1 git fetch",
        'echo "GIT_SSL_NO_VERIFY=true" >> $GITHUB_ENV',
        "python -c \"import requests; requests.get('https://x', verify=False)\"",
        "node -e 'https.get({rejectUnauthorized: false})'",
    ],
)
def test_a_check_of_certificates_that_is_off_is_seen(script: str) -> None:
    assert len(details("tls-off", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        "curl -fsSL https://x.example",
        "curl -okernel https://x.example",
        "curl -k https://localhost:8443/health",
        "curl -sk https://127.0.0.1/",
        "git -c http.sslVerify=true clone u",
        "npm config set strict-ssl true",
        "kubectl get pods",
        "skopeo --insecure-policy copy a b",
        "pip install --trusted-host localhost x",
        "export NODE_TLS_REJECT_UNAUTHORIZED=1",
        "echo 'curl -k x'",
        "tar -k x",
        "apt-get -o Acquire::Retries=3 update",
        "dnf --setopt=sslverify=1 install x",
    ],
)
def test_checks_that_are_on_and_this_machine_are_fine(script: str) -> None:
    assert details("tls-off", script) == []


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [
        ("GIT_SSL_NO_VERIFY", "true", "tls-off"),
        ("GIT_SSL_NO_VERIFY", "false", "tls-off"),
        ("GIT_SSL_NO_VERIFY", "", "tls-off"),
        ("CURL_CA_BUNDLE", "", "tls-off"),
        ("MAVEN_OPTS", "-Xmx1g -Daether.connector.https.securityMode=insecure", "tls-off"),
        ("GONOSUMDB", "example.com,*", "signature-off"),
        ("GOPRIVATE", "*", "signature-off"),
        ("NODE_TLS_REJECT_UNAUTHORIZED", "0", "tls-off"),
        ("npm_config_strict_ssl", "false", "tls-off"),
        ("PIP_TRUSTED_HOST", "x", "tls-off"),
        ("DOCKER_HOST", "tcp://docker:2375", "tls-off"),
        ("DOCKER_TLS_CERTDIR", "", "tls-off"),
        ("GOSUMDB", "off", "signature-off"),
        ("GOFLAGS", "-mod=mod -insecure", "signature-off"),
        ("DOCKER_CONTENT_TRUST", "0", "signature-off"),
        ("PIP_INDEX_URL", "http://user@pypi.example.com/simple", "insecure-url"),
        ("ACTIONS_STEP_DEBUG", "true", "debug"),
        ("CI_DEBUG_TRACE", "TRUE", "debug"),
        ("system.debug", "true", "debug"),
        ("ACTIONS_ALLOW_UNSECURE_COMMANDS", "true", "log-commands"),
    ],
)
def test_variables_switch_checks_off(name: str, value: str, kind: str) -> None:
    assert [effect.kind for effect in find_variable_effects(name, value)] == [kind]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NODE_TLS_REJECT_UNAUTHORIZED", "false"),
        ("REQUESTS_CA_BUNDLE", ""),
        ("CARGO_HTTP_CHECK_REVOKE", "false"),
        ("GONOSUMDB", "github.com/acme/*"),
        ("GOPRIVATE", "*.corp.example.com"),
        ("NODE_TLS_REJECT_UNAUTHORIZED", "1"),
        ("DOCKER_HOST", "tcp://docker:2376"),
        ("DOCKER_TLS_CERTDIR", "/certs"),
        ("GOSUMDB", "sum.golang.org"),
        ("HOMEPAGE", "http://example.com"),
        ("ACTIONS_STEP_DEBUG", "false"),
    ],
)
def test_variables_that_leave_checks_on_do_nothing(name: str, value: str) -> None:
    assert list(find_variable_effects(name, value)) == []


def test_an_input_of_a_component_is_no_variable_of_the_environment() -> None:
    assert list(find_variable_effects("GIT_SSL_NO_VERIFY", "true", "input")) == []


@pytest.mark.parametrize(
    "script",
    [
        "apt-get install --allow-unauthenticated x",
        "sudo yum install -y --nogpgcheck x",
        "rpm -i --nosignature x.rpm",
        "apk add --allow-untrusted x.apk",
        "zypper --no-gpg-checks install x",
        "echo 'deb [trusted=yes] https://x ./' > /etc/apt/sources.list.d/x.list",
        "cat <<EOF > /etc/apt/sources.list.d/x.list\ndeb [arch=amd64 trusted=yes] https://x ./\nEOF",
        "go env -w GOSUMDB=off",
        "go env -w GOPRIVATE=example.com,*",
        "GONOSUMDB=* go get x",
        "cosign verify --insecure-ignore-tlog img",
        "choco install x --ignore-checksums",
        "gem install x -P NoSecurity",
        "./gradlew --dependency-verification=off build",
    ],
)
def test_a_check_of_signatures_that_is_off_is_seen(script: str) -> None:
    assert len(details("signature-off", script)) == 1


@pytest.mark.parametrize(
    "script",
    ["apt-get install -y x", "dnf install x", "apk add --no-cache x", "cosign verify img", "go env -w GOSUMDB=x"],
)
def test_checked_signatures_are_fine(script: str) -> None:
    assert details("signature-off", script) == []


@pytest.mark.parametrize(
    "script",
    [
        'echo "StrictHostKeyChecking no" >> ~/.ssh/config',
        'echo -e "Host *\\n\\tStrictHostKeyChecking no\\n" > ~/.ssh/config',
        "echo insecure >> ~/.curlrc",
        "printf 'check_certificate = off\\n' > ~/.wgetrc",
        "cat > .npmrc <<EOF\nstrict-ssl=false\nEOF",
        "printf '[global]\\ntrusted-host = pypi.example.com\\n' | tee /etc/pip.conf",
    ],
)
def test_files_of_settings_switch_checks_off(script: str) -> None:
    assert len(details("tls-off", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        'echo "StrictHostKeyChecking no" > notes.txt',
        'echo "StrictHostKeyChecking yes" > ~/.ssh/config',
        "echo 'max-time = 5' > ~/.curlrc",
        "cat > .npmrc <<EOF\nstrict-ssl=true\nEOF",
    ],
)
def test_other_settings_and_other_files_are_fine(script: str) -> None:
    assert not details("tls-off", script)


@pytest.mark.parametrize(
    ("name", "value", "confidence"),
    [
        ("GIT_SSL_NO_VERIFY", "1", "high"),
        ("GIT_SSL_NO_VERIFY", "false", "medium"),
        ("GIT_SSL_NO_VERIFY", "", "medium"),
        ("CURL_CA_BUNDLE", "", "medium"),
        ("DOCKER_TLS_CERTDIR", "", "high"),
    ],
)
def test_a_variable_that_counts_whatever_it_says_is_told_with_doubt(name: str, value: str, confidence: str) -> None:
    assert [effect.confidence for effect in find_variable_effects(name, value)] == [confidence]


@pytest.mark.parametrize(
    "script", ["ko build --insecure-registry ./cmd", "oc image mirror --insecure=true a b", "crane copy --insecure a b"]
)
def test_a_registry_that_is_taken_unverified_is_seen(script: str) -> None:
    assert len(details("tls-off", script)) == 1


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("node", 'process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";'),
        ("python", "os.environ['PYTHONHTTPSVERIFY'] = '0'"),
    ],
)
def test_code_that_turns_verification_off_by_a_variable_is_seen(shell: str, code: str) -> None:
    assert len(details("tls-off", f"import x\n{code}\n", shell)) == 1
    assert details("tls-off", code.replace("0", "1"), shell) == []
