"""Read tables of the training service, and the queries over them."""
