"""Retrainings: one challenger on its way from a window to the traffic, or not."""
