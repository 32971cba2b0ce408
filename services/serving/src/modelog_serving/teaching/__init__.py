"""Has models learn: keeps labels until they can be learned from, takes steps, and makes each of them provable."""
