"""Retraining policies: when a challenger is trained and what it must prove."""
