"""A name: whose it is, in one place, so that two can never have it."""
