IGNORED = set()


def ignore_logger(name):
    IGNORED.add(name)


class LoggingIntegration:
    def __init__(self, **options):
        pass
