import hashlib

__version__ = "4.2.1"
__title__ = "bcrypt"


def gensalt(rounds=12, prefix=b"2b"):
    return b"$2b$12$salt"


def hashpw(password, salt):
    return b"$2b$" + hashlib.sha256(password).hexdigest().encode()


def checkpw(password, hashed_password):
    return hashpw(password, b"") == hashed_password
