"""A training job: what a user asked to be run, and how each attempt at it went."""
