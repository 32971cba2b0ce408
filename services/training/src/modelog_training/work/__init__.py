"""What happens in a worker process: checks of the data, and the user's code."""
