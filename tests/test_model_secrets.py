"""Secrets are masked, code is left alone, and nothing is lost."""

from __future__ import annotations

import sysconfig
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixbot.patchers.model.secrets import mask, placeholders, unmask

RANDOM = "q7Rk2mZx9LpT4vWn8YbC3sHd"
HEX = "9f86d081884c7d659a2feaa0c55ad015"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
BODY = "MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun"
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n{BODY}==\n-----END RSA PRIVATE KEY-----"

# (text, the secret in it); names of issuers are put together here so that no scanner takes this file for a leak
SECRETS = [
    (f'openai.api_key = "sk-proj-{RANDOM}{RANDOM}"', f"sk-proj-{RANDOM}{RANDOM}"),
    (f"curl -H 'Authorization: Bearer {RANDOM}' https://x", RANDOM),
    (f"see {'gh' + 'p_'}{RANDOM}{RANDOM[:12]}.", f"{'gh' + 'p_'}{RANDOM}{RANDOM[:12]}"),
    (f"{'AK' + 'IA'}IOSFODNN7EXAMPLE in a comment", "AK" + "IAIOSFODNN7EXAMPLE"),
    ('aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"', "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    (f"hook({'xo' + 'xb'}-1234567890-abcdefghij)", f"{'xo' + 'xb'}-1234567890-abcdefghij"),
    (f'token: str = "{HEX}"', HEX),
    (f'{{"client_secret": "{RANDOM}"}}', RANDOM),
    (f'os.environ["SESSION_TOKEN"] = "{RANDOM}"', RANDOM),
    (f'key = os.getenv("SIGNING_KEY", "{RANDOM}")', RANDOM),
    ('connect(host, password="hunter2!x")', "hunter2!x"),
    ('if password == "s3cr3tpass":', "s3cr3tpass"),
    ("DB_PASSWORD=Tr0ub4dor", "Tr0ub4dor"),
    (f"export STRIPE_SECRET_KEY={RANDOM}", RANDOM),
    (f"jwt:\n  secret: {RANDOM}\n", RANDOM),
    (f"api_token = {HEX}\r\nnext = 1", HEX),
    (f'settings().password = "{RANDOM}"', RANDOM),
    ("postgresql://app:Zx81spectrum@db:5432/app", "Zx81spectrum"),
    (f"redis://:{RANDOM}@cache/0", RANDOM),
    (f"cookie {JWT}; path=/", JWT),
    (f"KEY = '''{PEM}'''", BODY),
    ('KEY = "-----BEGIN PRIVATE KEY-----\\n' + BODY + '\\n-----END PRIVATE KEY-----"', BODY),
    (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}\n", BODY),
]
LEFT_ALONE = [
    "token = get_token()",
    "password: str",
    "password: str = Field(min_length=8)",
    "self.api_key = api_key or os.environ['API_KEY']",
    'API_KEY = os.environ["OPENAI_API_KEY"]',
    'token_url = "https://login.example.com/oauth2/v2.0/token"',
    'password = "{password}"',
    'url = f"postgresql://{user}:{password}@{host}/db"',
    "postgresql://$USER:$PASSWORD@localhost/app",
    "postgresql://user:password@localhost/app",
    "postgresql://app:secret@localhost/app",
    'access_token = "access_token"',
    'secret_name = "projects/app/secrets/database"',
    'PASSWORD_HASHER = "pbkdf2_sha256"',
    'cache_key = "user:2024:profile:v2:en"',
    'primary_key = "id"',
    'dsn = "localhost:1521/freepdb1"',
    "oracle://host:port/service?encoding=UTF-8&mode=1@x",
    'password = "********"',
    "PASSWORD=${DB_PASSWORD}",
    "API_TOKEN=<your token here>",
    "api_key: ${{ secrets.API_KEY }}",
    'detail = "Incorrect username or password"',
    'commit = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"',
    f'sha256 = "{HEX}{HEX}"',
    'id = "550e8400-e29b-41d4-a716-446655440000"',
    f'public_key = "{RANDOM}"',
    'if "-----BEGIN PRIVATE KEY-----" in text:',
    "import sk-learn-contrib-imbalanced-learn-tools",
    "keyboard = 'qwertyuiopasdfghjkl'",
    "tokens = [t for t in tokenizer(text)]",
    "for key, value in headers.items():",
    "password_field = PasswordField2(label='x')",
    "assert token == expected_token_v2",
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_leaves_the_text_and_comes_back(text: str, secret: str) -> None:
    masked = mask(text)
    assert secret not in masked.text
    assert "<secret-1>" in masked.text
    assert unmask(masked.text, masked.secrets) == text
    assert secret not in repr(masked)
    assert mask(masked.text).secrets == {}


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text).text == text


def test_the_same_secret_has_one_placeholder() -> None:
    text = f'TOKEN = "{RANDOM}"\nOTHER_TOKEN = "{HEX}"\n# {RANDOM} again\n'
    assert mask(text).text == 'TOKEN = "<secret-1>"\nOTHER_TOKEN = "<secret-2>"\n# <secret-1> again\n'


def test_an_edit_of_masked_text_is_mapped_back() -> None:
    masked = mask(f'connect("db", password="{RANDOM}1!")\n')
    edited = masked.text.replace('"db", ', '"db", timeout=5, ')
    assert unmask(edited, masked.secrets) == f'connect("db", timeout=5, password="{RANDOM}1!")\n'
    assert list(placeholders(edited)) == ["<secret-1>"]


def test_texts_that_belong_together_share_placeholders() -> None:
    first = mask(f'TOKEN = "{RANDOM}"')
    second = mask(f'A_TOKEN = "{HEX}"\nTOKEN = "{RANDOM}"\n# {RANDOM}', first.secrets)
    assert second.text == 'A_TOKEN = "<secret-2>"\nTOKEN = "<secret-1>"\n# <secret-1>'
    assert second.secrets == {"<secret-1>": RANDOM, "<secret-2>": HEX}


def test_a_text_that_holds_a_placeholder_already() -> None:
    text = f'x = "<secret-1>"; TOKEN = "{RANDOM}"'
    masked = mask(text)
    assert masked.text == 'x = "<secret-1>"; TOKEN = "<secret-2>"'
    assert unmask(masked.text, masked.secrets) == text


PIECES = st.sampled_from(
    [text for text, _ in SECRETS] + LEFT_ALONE + ["<secret-1>", "-----BEGIN PRIVATE KEY-----", "://a:b", "\n", "@", "'"]
)


@given(st.lists(PIECES | st.text(max_size=30), max_size=12).map("".join))
def test_masking_can_always_be_undone(text: str) -> None:
    masked = mask(text)
    assert unmask(masked.text, masked.secrets) == text
    assert all(secret and name in masked.text for name, secret in masked.secrets.items())


@pytest.mark.parametrize(
    "piece",
    ["a=", "a.", "-----BEGIN PRIVATE KEY-----", "eyJ", "eyJaaaaaaaaaa.", "://a:", "token='", 'key: a: "', "Bearer ", "sk-", "a"],
)
def test_time_is_linear(piece: str) -> None:
    def seconds(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size]
        start = time.process_time()
        mask(text)
        return time.process_time() - start

    small, large = min(seconds(20_000) for _ in range(2)), seconds(160_000)
    assert large < 8 * 4 * small + 0.1


def test_few_masks_in_packages_that_hold_no_secrets() -> None:
    packages = Path(sysconfig.get_paths()["purelib"])
    found = {
        str(file): list(mask(file.read_text(encoding="utf-8", errors="replace")).secrets.values())
        for package in ("rich", "fastapi", "sqlalchemy/orm", "sqlalchemy/sql", "sqlalchemy/engine")
        for file in (packages / package).rglob("*.py")
    }
    assert len(found) > 150
    assert [secrets for secrets in found.values() if secrets] == []
