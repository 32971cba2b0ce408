"""A dataset and its versions, each named by its content."""
