"""Sending to addresses that people gave: only where it is allowed, once, bounded in time and size."""
