"""Step 1: `modelog up` starts the parts and the six services; three users get their tokens."""

from __future__ import annotations

import os
import subprocess
import sys

import modelog
from modelog.config import read_profile

from flights.story.cast import Loading, Story
from flights.story.listener import AlertListener


def tell(story: Story, loading: Loading) -> None:
    story.step(1, "Start the platform (modelog up)")
    loading.start()
    command = [sys.executable, "-m", "modelog.cli.main", "up", "--detach", "--data-dir", str(story.data_dir)]
    # Alerts go to a listener of the story's own, on this machine.
    environment = {**os.environ, "MODELOG_WEBHOOK_NETWORKS": "127.0.0.0/8"}
    subprocess.run([*command, "--port", str(story.web_port), "--profile", story.profile], check=True, env=environment)
    profile = read_profile()
    story.endpoints = profile["endpoints"]
    url = story.endpoints["web"]
    story.admin = modelog.connect(url, profile["users"]["admin"])
    # Alice holds both roles, so that only the four-eyes rule stands between her and her own approval.
    story.admin.users.create("alice", ["developer", "reviewer"])
    story.admin.users.create("bob", ["reviewer"])
    story.alice = modelog.Client(url, story.admin.users.token("alice").token)
    story.bob = modelog.Client(url, story.admin.users.token("bob").token)
    story.listener = AlertListener()
    story.frame = loading.result()
    story.say(f"{story.frame.height:,} flights of 2013 with {len(story.frame.columns) - 5} features are read")
