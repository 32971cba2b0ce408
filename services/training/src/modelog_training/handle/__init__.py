"""Commands and queries that need more than the job itself: what it refers to, what it printed."""
