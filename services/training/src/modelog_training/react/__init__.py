"""The runner: takes queued jobs to their end."""
