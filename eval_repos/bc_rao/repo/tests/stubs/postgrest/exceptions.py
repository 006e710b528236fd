class APIError(Exception):
    """What the real client raises for an error answer of PostgREST."""
