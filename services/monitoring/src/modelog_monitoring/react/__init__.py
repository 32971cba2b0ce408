"""What monitoring does by itself: close windows, deliver alerts, retrain."""
