import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = Path(os.environ.get("REPO_ROOT") or HERE.parent / "repo").resolve()
FOLDER = tempfile.mkdtemp(prefix="creator-search-hidden-")
for folder in (str(ROOT), str(HERE)):
    sys.path.insert(0, folder)
os.environ.update(
    DATABASE_URL=f"sqlite:///{FOLDER}/test.db",
    SUPABASE_JWT_SECRET="test-secret-of-more-than-thirty-two-characters",
)
os.environ.pop("ANALYSIS_URL", None)


def pytest_sessionfinish():
    shutil.rmtree(FOLDER, ignore_errors=True)
