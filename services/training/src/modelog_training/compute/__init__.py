"""Processes to run jobs in, from local Ray."""
