"""Which platform to talk to, and as whom: arguments, then environment, then the profile that `modelog up` wrote."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

from modelog.errors import Unauthenticated, Unavailable


def profile_path() -> Path:
    """Where the profile stands: MODELOG_PROFILE, or .modelog/profile.json under the home directory."""
    return Path(os.environ.get("MODELOG_PROFILE") or Path.home() / ".modelog" / "profile.json")


def read_profile() -> Dict[str, Any]:
    """The profile: url, users (name -> token), user. Empty when there is none."""
    try:
        found = json.loads(profile_path().read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise Unavailable(f"{profile_path()} is not JSON ({error}); remove it and log in again") from None
    return dict(found)


def write_profile(profile: Dict[str, Any]) -> Path:
    """Store the profile so that only its owner can read it."""
    path = profile_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(json.dumps(profile, indent=2) + "\n")
    return path


def resolve(url: Optional[str], token: Optional[str], user: Optional[str]) -> Tuple[str, str]:
    """The address and the token to use.

    Raises Unavailable when no platform is known, Unauthenticated when no token is.
    """
    profile = read_profile() if not (url and token) else {}
    url = url or os.environ.get("MODELOG_URL") or profile.get("url")
    if not url:
        raise Unavailable("no platform is known; start one with `modelog up`, or set MODELOG_URL")
    tokens = profile.get("users", {})
    user = user or os.environ.get("MODELOG_USER") or profile.get("user")
    token = token or os.environ.get("MODELOG_TOKEN") or tokens.get(user or "")
    if not token:
        who = f"for user {user!r}" if user else ""
        raise Unauthenticated(f"no token {who} is known; set MODELOG_TOKEN, or run `modelog login`".replace("  ", " "))
    return url, token
