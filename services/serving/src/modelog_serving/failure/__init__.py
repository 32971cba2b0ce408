"""What went wrong with models while they answered: each process that had to be replaced is an event."""
