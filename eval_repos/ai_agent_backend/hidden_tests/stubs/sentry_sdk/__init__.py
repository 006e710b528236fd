"""As in the real SDK nothing is delivered before init() was called with a DSN."""

import contextlib

DELIVERED = []
DSN = None


class Scope:
    def set_tag(self, key, value):
        pass

    set_extra = set_context = set_user = set_tag

    def capture_exception(self, error=None, **options):
        return capture_exception(error)


def init(dsn=None, **options):
    global DSN
    DSN = dsn or None


def is_initialized():
    return DSN is not None


def capture_exception(error=None, scope=None, **options):
    if DSN is not None:
        DELIVERED.append(error)


def capture_message(message, level=None, **options):
    if DSN is not None:
        DELIVERED.append(message)


@contextlib.contextmanager
def new_scope():
    yield Scope()


isolation_scope = new_scope


def set_tag(key, value):
    pass


def flush(timeout=None):
    pass
