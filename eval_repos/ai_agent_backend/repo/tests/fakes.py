"""Small stand-ins for packages and services that the tests do without."""

import contextlib
import hashlib
import sys
import types
from types import SimpleNamespace

from pydantic import BaseModel
from pydantic import Field as pydantic_field


def _module(name: str, **members) -> types.ModuleType:
    module = types.ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules[name] = module
    return module


class SQLModel(BaseModel):
    def __init_subclass__(cls, table: bool = False, **options):
        super().__init_subclass__(**options)


class CryptContext:
    def __init__(self, schemes, deprecated="auto"):
        self._schemes = list(schemes)

    def default_scheme(self):
        return self._schemes[0]

    def hash(self, secret):
        return "fake$" + hashlib.sha256(secret.encode()).hexdigest()

    def verify(self, secret, hash):
        return self.hash(secret) == hash


class Scope:
    def __init__(self):
        self.tags = {}

    def set_tag(self, key, value):
        self.tags[key] = value


class VideoFileClip:
    durations: dict[str, float] = {}
    closed: list[str] = []

    def __init__(self, filename):
        self.filename = filename
        self.duration = self.durations.get(filename.rsplit("/", 1)[-1], 10.0)

    def close(self):
        self.closed.append(self.filename)


class Film:
    def __init__(self, clips):
        self.clips = clips
        self.duration = sum(clip.duration for clip in clips)

    def write_videofile(self, filename, **options):
        with open(filename, "wb") as sink:
            sink.write(b"film of %d clips" % len(self.clips))

    def close(self):
        VideoFileClip.closed.append("film")


def concatenate_videoclips(clips, method="chain"):
    return Film(clips)


class Encoding:
    def encode(self, text):
        return text.split()


class PdfReader:
    pages_of: dict[str, list[str]] = {}

    def __init__(self, path):
        texts = self.pages_of.get(path.rsplit("/", 1)[-1], ["a page"])
        self.pages = [SimpleNamespace(extract_text=lambda text=text: text) for text in texts]


class Counter:
    def __init__(self, name, documentation, labelnames=(), registry=None):
        self.name = name
        self.values = {}
        registry.append(self)

    def labels(self, **labels):
        key = tuple(labels.values())
        return SimpleNamespace(inc=lambda: self.values.__setitem__(key, self.values.get(key, 0) + 1))


class DistributionNotFound(Exception):
    pass


def get_distribution(name):
    from importlib import metadata

    try:
        return SimpleNamespace(version=metadata.version(name))
    except metadata.PackageNotFoundError as error:
        raise DistributionNotFound(name) from error


class Posthog:
    def __init__(self, api_key, host=None):
        self.api_key = api_key
        self.answers = {}
        self.stopped = False

    def feature_enabled(self, flag, distinct_id):
        return self.answers.get(flag)

    def shutdown(self):
        self.stopped = True


def install() -> None:
    _module("sqlmodel", SQLModel=SQLModel, Field=lambda default=..., **rules: pydantic_field(default, **rules))
    _module("passlib").context = _module("passlib.context", CryptContext=CryptContext)
    bcrypt = _module("bcrypt", __version__="4.0.1", __about__=SimpleNamespace(__version__="4.0.1"))
    bcrypt.gensalt = lambda rounds=12: b"$2b$12$"
    bcrypt.hashpw = lambda password, salt: b"$2b$12$" + hashlib.sha256(password).hexdigest().encode()
    bcrypt.checkpw = lambda password, hashed: bcrypt.hashpw(password, b"") == hashed
    sentry = _module("sentry_sdk", captured=[], new_scope=lambda: contextlib.nullcontext(Scope()))
    sentry.init = lambda *args, **options: None
    sentry.capture_exception = sentry.captured.append
    sentry.integrations = _module("sentry_sdk.integrations")
    sentry.integrations.logging = _module("sentry_sdk.integrations.logging", ignore_logger=lambda name: None)
    sentry.integrations.__path__ = []
    for name in ("fastapi", "starlette"):
        _module(f"sentry_sdk.integrations.{name}", **{f"{'FastApi' if name == 'fastapi' else 'Starlette'}Integration": object})
    posthog = _module("posthog", events=[], Posthog=Posthog, api_key=None, project_api_key=None, host=None)
    posthog.capture = lambda event, **details: posthog.events.append((event, details))
    posthog.shutdown = posthog.flush = lambda: None
    movie = {"VideoFileClip": VideoFileClip, "concatenate_videoclips": concatenate_videoclips}
    _module("moviepy", **movie).editor = _module("moviepy.editor", **movie)
    _module("imageio_ffmpeg", get_ffmpeg_exe=lambda: "/opt/imageio/ffmpeg")
    imageio = _module("imageio")
    imageio.plugins = SimpleNamespace(ffmpeg=SimpleNamespace(download=lambda: "/opt/imageio/ffmpeg", get_exe=lambda: "/opt/imageio/ffmpeg"))
    _module("tiktoken", encoding_for_model=lambda model: Encoding(), get_encoding=lambda name: Encoding())
    _module("pypdf", PdfReader=PdfReader)
    _module(
        "prometheus_client",
        CONTENT_TYPE_LATEST="text/plain; version=0.0.4",
        CollectorRegistry=list,
        Counter=Counter,
        generate_latest=lambda registry: "\n".join(f"{c.name} {c.values}" for c in registry).encode(),
    )
    _module("pkg_resources", get_distribution=get_distribution, DistributionNotFound=DistributionNotFound)


class Completions:
    """Answers of the language model, one a call; an exception in the list is raised."""

    def __init__(self):
        self.answers = []
        self.prompts = []

    def create(self, model, messages, temperature):
        self.prompts.append(messages)
        answer = self.answers.pop(0) if self.answers else "Hello!"
        if isinstance(answer, Exception):
            raise answer
        choices = [SimpleNamespace(message=SimpleNamespace(content=answer))] if answer is not None else []
        return SimpleNamespace(choices=choices, usage=SimpleNamespace(total_tokens=42))


class ModelClient:
    def __init__(self):
        self.completions = Completions()
        self.chat = SimpleNamespace(completions=self.completions)

    def close(self):
        pass


class Redis:
    """The commands that the rate limits use."""

    def __init__(self):
        self.values = {}
        self.closed = False
        self.error = None

    def ping(self):
        return True

    def pipeline(self):
        return Pipeline(self)

    def scan_iter(self, match):
        return [key for key in self.values if key.startswith(match.rstrip("*"))]

    def delete(self, key):
        return int(self.values.pop(key, None) is not None)

    def close(self):
        self.closed = True


class Pipeline:
    def __init__(self, server):
        self.server = server
        self.results = []

    def incr(self, key):
        self.server.values[key] = self.server.values.get(key, 0) + 1
        self.results.append(self.server.values[key])

    def expire(self, key, seconds, nx=False):
        self.results.append(True)

    def execute(self):
        if self.server.error is not None:
            raise self.server.error
        return self.results
