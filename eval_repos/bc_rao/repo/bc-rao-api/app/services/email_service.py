"""E-mails to users, sent through Resend, and the record of what was sent."""

import logging
import random
import re
import time
from html import escape, unescape
from typing import Any

import httpx
from supabase import Client

from app.config import Settings

logger = logging.getLogger(__name__)

RESEND_URL = "https://api.resend.com/emails"
REQUEST_TIMEOUT = 10.0
MAX_ATTEMPTS = 3

PAGE_TEMPLATE = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>{title}</title>
  </head>
  <body style="margin:0;background:#f4f4f7;font-family:Helvetica,Arial,sans-serif">
    <table role="presentation" width="100%" cellpadding="0" cellspacing="0">
      <tr>
        <td align="center" style="padding:32px 12px">
          <table role="presentation" width="560" style="background:#fff;border-radius:6px">
            <tr>
              <td style="padding:28px 32px 8px">
                <h1 style="margin:0;font-size:20px;color:{accent}">{title}</h1>
              </td>
            </tr>
            <tr>
              <td style="padding:0 32px 24px;font-size:15px;line-height:1.5;color:#333">
                {content}
              </td>
            </tr>
            <tr>
              <td style="padding:16px 32px;font-size:12px;color:#888">
                You get this mail because you monitor posts with BC-RAO.
              </td>
            </tr>
          </table>
        </td>
      </tr>
    </table>
  </body>
</html>
"""

SHADOWBAN_CONTENT = """\
<p>Your post in <strong>r/{subreddit}</strong> is no longer visible to anybody
but you.</p>
<table role="presentation" cellpadding="4">
  <tr><td>Account</td><td><strong>u/{username}</strong></td></tr>
  <tr><td>Post</td><td><a href="{url}">{url}</a></td></tr>
</table>
<p>What to do now:</p>
<ol>
  <li>Do not post from this account for the next 48 hours.</li>
  <li>Open your profile in a private window. If it does not show up there either,
      the whole account is affected: appeal at reddit.com/appeals.</li>
  <li>If only this post is affected, write to the moderators and ask politely.</li>
</ol>
<p>We have put the wording of this post on the blacklist of your campaign, so that
the next drafts avoid it.</p>
"""

DIGEST_CONTENT = """\
<p>How the posts of <strong>{campaign}</strong> are doing:</p>
<p style="font-size:28px;margin:8px 0">{rate}% survived</p>
<table role="presentation" cellpadding="4">
  <tr><th align="left">Subreddit</th><th align="right">Survival</th></tr>
  {rows}
</table>
<p>Riskiest place at the moment: <strong>r/{riskiest}</strong></p>
"""

DIGEST_ROW = '<tr><td>r/{name}</td><td align="right">{rate}%</td></tr>'

ACCENT_ALERT = "#b42318"
ACCENT_NEUTRAL = "#175cd3"

BLOCK_END = re.compile(r"</(?:h1|p|tr|li)>")
TAG = re.compile(r"<[^>]+>")


def render_page(title: str, content: str, accent: str) -> str:
    """Wrap ready HTML into the common frame.

    Args:
        title: plain text, escaped here
        content: HTML, escaped by the caller
        accent: CSS colour of the headline
    """
    return PAGE_TEMPLATE.format(title=escape(title), content=content, accent=accent)


def render_shadowban_alert(entry: dict[str, Any]) -> str:
    """HTML of the alert for one post."""
    content = SHADOWBAN_CONTENT.format(
        subreddit=escape(entry["subreddit"]),
        username=escape(entry["reddit_username"]),
        url=escape(entry["reddit_post_url"]),
    )
    return render_page("Your post has been shadowbanned", content, ACCENT_ALERT)


def render_digest(campaign_name: str, report: dict[str, Any]) -> str:
    """HTML of the weekly digest.

    Args:
        campaign_name: as the user typed it
        report: what build_campaign_report returned, with at least one post
    """
    rows = "\n  ".join(
        DIGEST_ROW.format(name=escape(name), rate=round(rate * 100))
        for name, rate in report["by_subreddit"].items()
    )
    content = DIGEST_CONTENT.format(
        campaign=escape(campaign_name),
        rate=round(report["survival_rate"] * 100),
        rows=rows,
        riskiest=escape(report["riskiest"]),
    )
    return render_page("Your week on Reddit", content, ACCENT_NEUTRAL)


def plain_text(page: str) -> str:
    """Text part of a mail; filters distrust mails that are HTML only."""
    body = page.partition("<body")[2].partition(">")[2]
    lines = TAG.sub("", BLOCK_END.sub("\n", body)).splitlines()
    tidied = (" ".join(line.split()) for line in lines)
    return unescape("\n".join(line for line in tidied if line))


class EmailService:
    """Sends mails and keeps the record of alerts.

    A mail that cannot be sent must not stop the monitoring of other posts, so
    the send methods answer False then, after a few attempts, and log why.
    """

    def __init__(self, settings: Settings, supabase: Client) -> None:
        self.settings = settings
        self.supabase = supabase

    def send_shadowban_alert(self, recipient: str, entry: dict[str, Any]) -> bool:
        """Tell a user that a post is no longer visible.

        Args:
            recipient: e-mail address of the user
            entry: the post's row of shadow_table

        Returns:
            Whether Resend has accepted the mail.
        """
        return self._send(
            recipient,
            subject=f"Shadowban detected in r/{entry['subreddit']}",
            html=render_shadowban_alert(entry),
            tag="shadowban",
        )

    def send_digest(
        self,
        recipient: str,
        campaign_name: str,
        report: dict[str, Any],
    ) -> bool:
        """Send the weekly digest of one campaign.

        Returns:
            Whether Resend has accepted the mail.
        """
        return self._send(
            recipient,
            subject=f"{campaign_name}: your week on Reddit",
            html=render_digest(campaign_name, report),
            tag="digest",
        )

    def _send(self, recipient: str, subject: str, html: str, tag: str) -> bool:
        """Hand a mail to Resend, trying again on transient failures.

        Args:
            recipient: e-mail address, never logged
            subject: one line of plain text
            html: the whole page
            tag: category that Resend's statistics are grouped by
        """
        message = {
            "from": self.settings.alert_sender,
            "to": [recipient],
            "subject": subject,
            "html": html,
            "text": plain_text(html),
            "tags": [{"name": "category", "value": tag}],
        }
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                response = self._post(message)
            except httpx.TransportError as e:
                logger.warning("Resend attempt %d failed: %s", attempt, type(e).__name__)
            else:
                if response.is_success:
                    logger.info("Sent a %s mail", tag)
                    return True
                logger.warning(
                    "Resend attempt %d answered status %d",
                    attempt,
                    response.status_code,
                )
                if response.status_code < 500 and response.status_code != 429:
                    # Refused for good: a bad address or a bad key
                    break
            if attempt < MAX_ATTEMPTS:
                time.sleep(random.uniform(0, 2**attempt))
        logger.error("A %s mail could not be sent", tag)
        return False

    def _post(self, message: dict[str, Any]) -> httpx.Response:
        return httpx.post(
            RESEND_URL,
            json=message,
            headers={"Authorization": f"Bearer {self.settings.resend_api_key}"},
            timeout=REQUEST_TIMEOUT,
        )

    def list_alerts(self, user_id: str, limit: int = 20) -> list[dict[str, Any]]:
        """The user's newest alerts, for the history on the settings page.

        Args:
            user_id: owner of the alerts
            limit: how many at most

        Returns:
            Rows of email_alerts, newest first.
        """
        response = (
            self.supabase.table("email_alerts")
            .select("id, shadow_id, alert_type, status, created_at")
            .eq("user_id", user_id)
            .order("created_at", desc=True)
            .limit(limit)
            .execute()
        )
        return response.data

    def alerted_posts(self, user_id: str) -> set[str]:
        """Which posts the user was alerted about.

        Args:
            user_id: owner of the posts

        Returns:
            Ids of shadow_table.
        """
        response = (
            self.supabase.table("email_alerts")
            .select("shadow_id")
            .eq("user_id", user_id)
            .execute()
        )
        return {row["shadow_id"] for row in response.data}

    def record_alert(
        self,
        user_id: str,
        shadow_id: str,
        alert_type: str,
        *,
        delivered: bool,
    ) -> None:
        """Remember an alert, for the rate limit and the user's alert history.

        Args:
            user_id: who was alerted
            shadow_id: the monitored post that it was about
            alert_type: "shadowban"
            delivered: whether Resend has accepted the mail
        """
        self.supabase.table("email_alerts").insert(
            {
                "user_id": user_id,
                "shadow_id": shadow_id,
                "alert_type": alert_type,
                "delivered": delivered,
            }
        ).execute()
