"""What an alert looks like on its way to people."""

from __future__ import annotations

from typing import Any, assert_never

from modelog_monitoring.monitor.events import AlertKind, AlertRaised, ChannelKind

_TITLES = {
    AlertKind.DRIFT: "Drift",
    AlertKind.QUALITY: "Loss of quality",
    AlertKind.SERVICE_LEVEL: "Service level missed",
    AlertKind.SERVICE_LEVEL_MET: "Service level met again",
    AlertKind.LEARNING_STOPPED: "A model stopped learning",
    AlertKind.LEARNING_RESUMED: "A model learns again",
}


def payload_for(kind: ChannelKind, alert: AlertRaised) -> dict[str, Any]:
    """The JSON body that a channel of this kind takes."""
    match kind:
        case ChannelKind.WEBHOOK:
            return webhook(alert)
        case ChannelKind.SLACK:
            return slack(alert)
        case _:
            assert_never(kind)


def webhook(alert: AlertRaised) -> dict[str, Any]:
    """Plain JSON, all of the alert."""
    return {
        "alert_id": alert.alert_id,
        "kind": alert.kind.value,
        "monitor": alert.monitor,
        "window_id": alert.window_id,
        "window": alert.window,
        "text": alert.text,
        "at": alert.at.isoformat(),
    }


def slack(alert: AlertRaised) -> dict[str, Any]:
    """The body of a Slack incoming webhook: `text` for notifications, `blocks` for the message."""
    title = f"{_TITLES[alert.kind]}: {alert.monitor}, {alert.window}"
    return {
        "text": _escaped(f"{title}. {alert.text}"),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:150]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": _escaped(alert.text)[:3000]}},
            {
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": f"alert `{alert.alert_id}` at {alert.at.isoformat()}"}],
            },
        ],
    }


def _escaped(text: str) -> str:
    """Slack reads &, < and > as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
