"""Monitoring's read tables and series, and how events fill them."""
