"""Usage as CSV on standard output: python scripts/export_usage.py [--flush]

With --flush what is new goes to Supabase as well; cron runs this every hour.
"""

import argparse
import os
import sys

sys.path.insert(0, os.getcwd())  # Workaround for import issues

from app.config import Settings
from app.database import Database
from app.usage import export_csv, flush_usage


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flush", action="store_true", help="send new usage to Supabase")
    options = parser.parse_args(arguments)
    settings = Settings.from_env()
    db = Database(settings.local_db_path)
    try:
        export_csv(db, sys.stdout)
        if options.flush:
            print(f"{flush_usage(db, settings)} events sent", file=sys.stderr)
    finally:
        db.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
