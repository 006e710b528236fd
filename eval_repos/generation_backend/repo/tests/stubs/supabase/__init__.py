"""The part of supabase-py that the service imports; the tests use `fakes.FakeSupabase` as the client."""


class AuthApiError(Exception):
    pass


class AsyncClient:
    pass


async def acreate_client(supabase_url, supabase_key, options=None):
    raise RuntimeError("no network in tests")
