"""Create an administrator: python create_admin.py EMAIL (asks for the password)"""

import argparse
import getpass
import sys

from app.auth import hash_password
from app.config import Settings
from app.database import Database, EmailTaken
from app.input_validation import normalise_email
from app.models import Plan


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("email")
    options = parser.parse_args(arguments)
    db = Database(Settings.from_env().local_db_path)
    try:
        user = db.create_user(normalise_email(options.email), hash_password(getpass.getpass()), Plan.ADMIN)
    except EmailTaken as error:
        print(error)
        return 1
    finally:
        db.close()
    print(f"Administrator {user.id} created")
    return 0


if __name__ == "__main__":
    sys.exit(main())
