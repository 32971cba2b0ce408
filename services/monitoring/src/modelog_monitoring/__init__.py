"""Monitoring: windows, drift, quality, alerts and retraining policies."""
