"""A model with its versions, their stages and reviews."""
