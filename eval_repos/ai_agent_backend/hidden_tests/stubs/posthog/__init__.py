"""As in the real SDK the module functions need a key."""

DELIVERED = []
api_key = None
project_api_key = None
host = None
debug = disabled = sync_mode = False
on_error = None


class Posthog:
    def __init__(self, project_api_key, host=None, **options):
        if not project_api_key:
            raise ValueError("API key is required")
        self.api_key = project_api_key

    def capture(self, event, distinct_id=None, properties=None, **options):
        DELIVERED.append((self.api_key, event, distinct_id))

    def feature_enabled(self, key, distinct_id, **options):
        return None

    def flush(self):
        pass

    def shutdown(self):
        pass


Client = Posthog


def setup():
    Posthog(project_api_key or api_key)


def capture(event, distinct_id=None, properties=None, **options):
    Posthog(project_api_key or api_key).capture(event, distinct_id)


def flush():
    pass


def shutdown():
    pass
