"""Stand-in for the postgrest package that comes with supabase."""

from postgrest.exceptions import APIError

__all__ = ["APIError"]
