"""A logged model: what a run made, before anybody registers it."""
