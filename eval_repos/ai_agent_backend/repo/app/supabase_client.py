"""The few Supabase calls that the service needs, over the REST API."""

from typing import BinaryIO

import httpx

from app.retry import call_with_retry


class SupabaseUnavailable(ConnectionError):
    def __init__(self) -> None:
        super().__init__("Unable to connect to Supabase")


class SupabaseClient:
    def __init__(self, url: str, key: str) -> None:
        headers = {"apikey": key, "Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(10, connect=3))

    def close(self) -> None:
        self._http.close()

    def select(self, table: str, **equals: str) -> list[dict]:
        params = {column: f"eq.{value}" for column, value in equals.items()}
        try:
            response = self._http.get(f"/rest/v1/{table}", params=params)
        except httpx.TransportError as error:
            raise SupabaseUnavailable() from error
        response.raise_for_status()
        return response.json()

    def upload(self, bucket: str, path: str, file: BinaryIO, content_type: str) -> None:
        """Put an object; an object of that name is replaced, so the call can be repeated."""

        def put() -> httpx.Response:
            file.seek(0)
            headers = {"Content-Type": content_type, "x-upsert": "true"}
            return self._http.post(f"/storage/v1/object/{bucket}/{path}", content=iter(lambda: file.read(65536), b""), headers=headers)

        try:
            response = call_with_retry(put, retry_on=(httpx.TransportError,))
        except httpx.TransportError as error:
            raise SupabaseUnavailable() from error
        response.raise_for_status()
