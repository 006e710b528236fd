"""AI-Agent backend."""

__version__ = "1.0.0"


def __getattr__(name):
    # `uvicorn app:create_app --factory` works without importing the whole application for scripts that only need the settings.
    if name == "create_app":
        from app.main import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
