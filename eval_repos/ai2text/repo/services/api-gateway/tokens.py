"""Keys and verification of access tokens.

JWT_KEYS is a JSON object, key id to secret: the users' keys (rotated every year) and `svc`, with which our own
services sign. A token names its key in the `kid` header.
"""
import json
import os

import jwt

AUDIENCE = "ai2text"
SERVICE_ISSUER = "ai2text-internal"
MIN_SECRET_LENGTH = 32


def load_keys(text: str) -> dict[str, str]:
    keys = json.loads(text)
    weak = sorted(kid for kid, secret in keys.items() if len(secret) < MIN_SECRET_LENGTH)
    if not keys or weak:
        raise ValueError(f"JWT_KEYS has no keys or short ones: {weak}")
    return keys


KEYS = load_keys(os.environ["JWT_KEYS"])


def verify_token(token: str) -> dict:
    """The claims of a token whose signature, audience and expiry are right; else jwt.InvalidTokenError."""
    kid = jwt.get_unverified_header(token).get("kid")
    key = KEYS.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise jwt.InvalidTokenError("unknown key id")
    return jwt.decode(
        token, key, algorithms=["HS256"], audience=AUDIENCE, options={"require": ["exp", "sub", "iss"]}
    )
