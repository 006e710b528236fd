"""Which service answers which path, and who may call it."""
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Route:
    prefix: str
    upstream: str
    roles: frozenset[str]

    def target(self, path: str) -> str:
        """`/v1/training/runs` becomes `/runs` of the training service."""
        return self.upstream.rstrip("/") + (path[len(self.prefix):] or "/")


ROUTES = (
    Route("/v1/ingestion", os.environ["INGESTION_URL"], frozenset({"annotator", "admin", "service"})),
    Route("/v1/metadata", os.environ["METADATA_URL"], frozenset({"annotator", "trainer", "admin", "service"})),
    Route("/v1/training", os.environ["TRAINING_URL"], frozenset({"trainer", "admin", "service"})),
)


def route_for(path: str) -> Route | None:
    if ".." in path.split("/"):
        return None
    for route in ROUTES:
        if path == route.prefix or path.startswith(route.prefix + "/"):
            return route
    return None
