import hashlib


class CryptContext:
    def __init__(self, schemes=None, deprecated="auto", **options):
        self._schemes = list(schemes or ["bcrypt"])

    def default_scheme(self):
        return self._schemes[0]

    def schemes(self):
        return tuple(self._schemes)

    def hash(self, secret):
        return "fake$" + hashlib.sha256(secret.encode()).hexdigest()

    def verify(self, secret, hash):
        return self.hash(secret) == hash
