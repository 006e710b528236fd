"""Start the API on port 9000: python quick_start.py [--check]"""

import argparse
import os
import sys

sys.path.insert(0, os.getcwd())  # Workaround for import issues

from app.config import ConfigurationError, Settings

try:
    from dotenv import load_dotenv
except ImportError:
    load_dotenv = None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="show the settings and stop")
    parser.add_argument("--port", type=int, default=9000)
    options = parser.parse_args()
    if load_dotenv is not None:
        load_dotenv()
    else:
        print("python-dotenv is not installed, .env is not read", file=sys.stderr)
    try:
        settings = Settings.from_env()
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    for name, value in settings.describe().items():
        print(f"{name:12} {value}")
    if options.check:
        return 0
    import uvicorn

    uvicorn.run("app:create_app", factory=True, host="0.0.0.0", port=options.port, log_config=None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
