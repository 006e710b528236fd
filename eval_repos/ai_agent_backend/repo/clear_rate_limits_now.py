"""Forget all rate limits: python clear_rate_limits_now.py (needs REDIS_URL)"""

import os
import sys

sys.path.insert(0, os.getcwd())  # Workaround for import issues

from app.rate_limiting import build_store


def main() -> int:
    url = os.getenv("REDIS_URL")
    if not url:
        print("REDIS_URL is not set: limits are in the memory of the server, restart it to clear them")
        return 1
    store = build_store(url)
    try:
        print(f"{store.clear()} limits removed")
    finally:
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
