"""A/B tests that may be watched after every event and stopped at any."""
