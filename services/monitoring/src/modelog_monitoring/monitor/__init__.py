"""Monitors: what is watched, what each window showed, and the alerts that were raised."""
