import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = Path(os.environ.get("REPO_ROOT") or HERE.parent / "repo").resolve()
for folder in (str(ROOT), str(HERE / "stubs"), str(HERE)):
    sys.path.insert(0, folder)

os.environ.update(
    SUPABASE_URL="https://project.supabase.co",
    SUPABASE_SERVICE_KEY="service-key",
    SUPABASE_JWT_SECRETS="current=current-secret-with-enough-characters",
    FAL_KEY="fal-key",
    FAL_POLL_SECONDS="2",
    MAX_OUTPUT_BYTES="1000000",
)
os.environ.pop("WEBHOOK_URL", None)
