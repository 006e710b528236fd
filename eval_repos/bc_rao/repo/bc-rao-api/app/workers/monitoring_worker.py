"""Checks monitored posts and reacts when one is no longer visible.

A post counts as shadowbanned after two failed checks in a row: Reddit's public
pages lag behind the API by some minutes, so that a single failed check says
little. What is found then happens in this order: the post's status, an e-mail
to its author (a few a day at most), and the wording of its draft goes into the
campaign's syntax blacklist, which the next drafts are written with.
"""

import asyncio
import logging
from collections import Counter
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

from supabase import Client

from app.analysis.pattern_extractor import extract_patterns, promotional_density
from app.config import get_settings
from app.integrations.reddit_client import RedditClient, Visibility
from app.integrations.supabase_client import get_supabase_client
from app.services.email_service import EmailService
from app.services.monitoring_service import MonitoringService

logger = logging.getLogger(__name__)

REQUIRED_FAILURES = 2
HISTORY_LENGTH = 10
ALERT_WINDOW_HOURS = 24
MAX_ALERTS_PER_WINDOW = 3
DUE_BATCH_SIZE = 50


@lru_cache(maxsize=1)
def get_reddit_client() -> RedditClient:
    return RedditClient(get_settings())


def load_due_posts() -> list[dict[str, Any]]:
    """Active posts whose next check is due, longest waiting first."""
    service = MonitoringService(get_supabase_client())
    return service.get_due_posts(datetime.now(timezone.utc), DUE_BATCH_SIZE)


async def check_post(entry: dict[str, Any]) -> str:
    """Check one monitored post and act on the result; returns its new status."""
    result = await get_reddit_client().check_post_visibility(entry["reddit_post_id"])
    logger.info("Post %s is %s", entry["reddit_post_id"], result.value)
    return await asyncio.to_thread(process_check_result, entry, result)


def process_check_result(entry: dict[str, Any], result: Visibility) -> str:
    """Store what a check found; blocking, run in a thread.

    Args:
        entry: the post's row of shadow_table
        result: what Reddit shows

    Returns:
        The post's status after the check.
    """
    supabase = get_supabase_client()
    service = MonitoringService(supabase)
    failures = _append_check_history(supabase, entry, result)

    status = entry["status"]
    if result is Visibility.VISIBLE:
        status = "Active"
    elif result is Visibility.REMOVED:
        status = "Removed"
    elif result is Visibility.DELETED:
        status = "Deleted"
    elif failures >= REQUIRED_FAILURES:
        status = "Shadowbanned"

    service.update_post_status(
        entry["id"],
        status,
        check_result=result.value,
        total_checks=entry["total_checks"] + 1,
    )
    if status == entry["status"]:
        return status
    log_transition(entry, status)
    if status == "Shadowbanned":
        handle_shadowban(supabase, entry)
    elif status == "Removed":
        handle_removal(supabase, entry)
    return status


def log_transition(entry: dict[str, Any], status: str) -> None:
    """Leave a trace of every change; support looks these up by the post's id."""
    logger.warning(
        "Post %s in r/%s went from %s to %s after %d checks",
        entry["id"],
        entry["subreddit"],
        entry["status"],
        status,
        entry["total_checks"] + 1,
    )


def _append_check_history(
    supabase: Client,
    entry: dict[str, Any],
    result: Visibility,
) -> int:
    """Append a result to the post's check history.

    Only the last few results are kept, enough to see whether a post comes and
    goes.

    Returns:
        How many checks in a row have failed, this one included.
    """
    metadata = entry.get("metadata") or {}
    history = list(metadata.get("check_history", []))
    history.append(
        {
            "result": result.value,
            "checked_at": datetime.now(timezone.utc).isoformat(),
        }
    )
    supabase.table("shadow_table").update(
        {
            "metadata": {
                **metadata,
                "check_history": history[-HISTORY_LENGTH:],
            }
        }
    ).eq(
        "id", entry["id"]
    ).execute()

    failures = 0
    for check in reversed(history):
        if check["result"] == Visibility.VISIBLE.value:
            break
        failures += 1
    return failures


def handle_shadowban(supabase: Client, entry: dict[str, Any]) -> None:
    """Alert the author of a shadowbanned post and learn from its draft.

    The campaign's next drafts avoid the wording of this one.
    """
    profile_response = (
        supabase.table("profiles")
        .select("email, full_name")
        .eq("id", entry["user_id"])
        .execute()
    )
    user_email = profile_response.data[0]["email"]

    alert_type = "shadowban"
    logger.warning(
        "Post %s of user %s is shadowbanned", entry["id"], entry["user_id"]
    )

    # Several posts of an account are often hit at once: a few mails will do
    since = datetime.now(timezone.utc) - timedelta(hours=ALERT_WINDOW_HOURS)
    recent_alerts = (
        supabase.table("email_alerts")
        .select("id", count="exact")
        .eq("user_id", entry["user_id"])
        .gte("sent_at", since.isoformat())
        .execute()
    )
    if (recent_alerts.count or 0) < MAX_ALERTS_PER_WINDOW:
        email_service = EmailService(get_settings(), supabase)
        delivered = email_service.send_shadowban_alert(user_email, entry)
        email_service.record_alert(
            entry["user_id"], entry["id"], alert_type, delivered=delivered
        )
    else:
        logger.info("Alert limit of user %s reached", entry["user_id"])

    # Posts that were written by hand have no draft
    if not entry.get("draft_id"):
        logger.info("No draft to learn from for post %s", entry["id"])
        return
    draft_text = None
    draft_response = supabase.table("generated_drafts").select("generated_text").eq(
        "id", entry["draft_id"]
    ).execute()
    if draft_response.data:
        draft_text = draft_response.data[0].get("generated_text")
    if draft_text:
        store_failure_patterns(supabase, entry, draft_text, alert_type)
    else:
        logger.warning("No draft text for post %s", entry["id"])


def handle_removal(supabase: Client, entry: dict[str, Any]) -> None:
    """Learn from a draft that moderators removed.

    There is no alert: Reddit itself tells the author about a removal, with the
    moderators' reason.

    Args:
        entry: the post's row of shadow_table
    """
    if not entry.get("draft_id"):
        return
    draft_text = None
    draft_response = supabase.table("generated_drafts").select("generated_text").eq(
        "id", entry["draft_id"]
    ).execute()
    if draft_response.data:
        draft_text = draft_response.data[0].get("generated_text")
    if draft_text:
        store_failure_patterns(supabase, entry, draft_text, "removal")
    else:
        logger.warning("No draft text for post %s", entry["id"])


async def run_manual_check(entry: dict[str, Any], report: Any) -> dict[str, Any]:
    """Check a post at its author's request, with progress for the SSE stream.

    Args:
        entry: the post's row of shadow_table
        report: progress callback of the task runner
    """
    await report(0, 2, "Asking Reddit")
    status = await check_post(entry)
    await report(1, 2, "Reading the result")
    refreshed = await asyncio.to_thread(
        MonitoringService(get_supabase_client()).get_post, entry["id"], entry["user_id"]
    )
    return {
        "shadow_id": refreshed["id"],
        "status": status,
        "total_checks": refreshed["total_checks"],
        "last_check_at": refreshed["last_check_at"],
    }


def build_campaign_report(supabase: Client, campaign_id: str) -> dict[str, Any]:
    """Survival of a campaign's posts, in total and by subreddit.

    Expired posts survived their whole monitoring time; posts that their author
    deleted count neither way.

    Args:
        campaign_id: the campaign, already known to belong to the user
    """
    posts = (
        supabase.table("shadow_table")
        .select("subreddit, status, total_checks")
        .eq("campaign_id", campaign_id)
        .neq("status", "Deleted")
        .execute()
    )
    totals: Counter[str] = Counter()
    survived: Counter[str] = Counter()
    for row in posts.data:
        totals[row["subreddit"]] += 1
        if row["status"] in ("Active", "Expired"):
            survived[row["subreddit"]] += 1

    by_subreddit = {
        # a subreddit is only listed with at least one post
        name: round(survived[name] / count, 3)
        for name, count in totals.most_common()
    }
    total = sum(totals.values())
    return {
        "campaign_id": campaign_id,
        "posts": total,
        "survival_rate": round(sum(survived.values()) / total, 3) if total else None,
        "by_subreddit": by_subreddit,
        "riskiest": min(by_subreddit, key=by_subreddit.__getitem__, default=None),
    }


def send_weekly_digest(supabase: Client, campaign: dict[str, Any]) -> bool:
    """Mail a campaign's owner how its posts fared; False without anything to say.

    Args:
        campaign: the campaign's row
    """
    report = build_campaign_report(supabase, campaign["id"])
    if not report["posts"]:
        return False

    owner = (
        supabase.table("profiles")
        .select("email")
        .eq("id", campaign["user_id"])
        .limit(1)
        .execute()
    )
    if not owner.data:
        logger.warning("Campaign %s has an owner without profile", campaign["id"])
        return False
    email_service = EmailService(get_settings(), supabase)
    return email_service.send_digest(owner.data[0]["email"], campaign["name"], report)


def blacklist_summary(supabase: Client, campaign_id: str) -> list[dict[str, Any]]:
    """A campaign's forbidden wording, grouped by category.

    Returns:
        One item a category, the strongest first.
    """
    rows = (
        supabase.table("syntax_blacklist")
        .select("forbidden_pattern, category, confidence")
        .eq("campaign_id", campaign_id)
        .order("confidence", desc=True)
        .execute()
    )
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows.data:
        grouped.setdefault(row["category"], []).append(row)
    return [
        {
            "category": category,
            "patterns": [member["forbidden_pattern"] for member in members],
            # setdefault puts every group together with its first member
            "confidence": float(members[0]["confidence"]),
        }
        for category, members in grouped.items()
    ]


def forget_pattern(supabase: Client, campaign_id: str, phrase: str) -> int:
    """Take a phrase off a campaign's blacklist, in every subreddit.

    Users do this when a phrase is a word of their trade that got listed because
    of its neighbours.

    Args:
        campaign_id: the campaign, already known to belong to the user
        phrase: as shown by blacklist_summary

    Returns:
        How many entries are gone.
    """
    deleted = (
        supabase.table("syntax_blacklist")
        .delete()
        .eq("campaign_id", campaign_id)
        .eq("forbidden_pattern", phrase.strip().lower())
        .execute()
    )
    return len(deleted.data)


def _known_patterns(
    supabase: Client,
    campaign_id: str,
    subreddit: str,
) -> dict[str, dict[str, Any]]:
    """Blacklisted phrases of a campaign in one subreddit, by phrase."""
    known = (
        supabase.table("syntax_blacklist")
        .select("id, forbidden_pattern, confidence")
        .eq("campaign_id", campaign_id)
        .eq("subreddit", subreddit)
        .execute()
    )
    return {row["forbidden_pattern"]: row for row in known.data}


def store_failure_patterns(
    supabase: Client,
    entry: dict[str, Any],
    draft_text: str,
    failure_type: str,
) -> int:
    """Put the suspicious wording of a failed post on the campaign's blacklist.

    Phrases that are listed already gain confidence instead.

    Args:
        entry: the post's row of shadow_table
        draft_text: what was posted
        failure_type: "shadowban" or "removal"

    Returns:
        How many phrases are new.
    """
    campaign_id = entry["campaign_id"]
    subreddit = entry["subreddit"]
    patterns = extract_patterns(draft_text)
    if not patterns:
        logger.info("Nothing suspicious in the draft of post %s", entry["id"])
        return 0

    # Dense promotion makes each single phrase more telling
    boost = 0.1 if promotional_density(draft_text) > 3.0 else 0.0
    known = _known_patterns(supabase, campaign_id, subreddit)
    added = 0
    for pattern in patterns:
        confidence = min(pattern.confidence + boost, 1.0)
        existing = known.get(pattern.text)
        if existing is not None:
            raised = min(float(existing["confidence"]) + 0.1, 1.0)
            (
                supabase.table("syntax_blacklist")
                .update({"confidence": raised})
                .eq("id", existing["id"])
                .execute()
            )
            continue
        insert_data = {
            "subreddit": subreddit,
            "forbidden_pattern": pattern.text,
            "category": pattern.category,
            "failure_type": failure_type,
            "confidence": confidence,
        }
        (
            supabase.table("syntax_blacklist")
            .insert(insert_data)
            .execute()
        )
        added += 1
    logger.info(
        "%d new patterns for r/%s from post %s", added, subreddit, entry["id"]
    )
    return added
