"""Which model serves which task, and what each plan may spend in a month."""

from app.config import get_settings

MODEL_ROUTES = {
    "generate_draft": "anthropic/claude-3.5-sonnet",
    "score_post": "google/gemini-flash-1.5",
}
FALLBACK_MODEL = "openai/gpt-4o-mini"

# US dollars a month; None: no cap (invoiced by usage)
COST_CAPS: dict[str, float | None] = {
    "starter": 5.0,
    "growth": 25.0,
    "enterprise": None,
}


def get_model(task: str) -> str:
    return MODEL_ROUTES.get(task, FALLBACK_MODEL)


def get_cost_cap(plan: str) -> float | None:
    """Monthly cap of a plan; the trial's comes from the settings."""
    if plan == "trial":
        return get_settings().trial_cost_cap_usd
    if plan not in COST_CAPS:
        raise ValueError(f"Unknown plan: {plan}")
    return COST_CAPS[plan]
