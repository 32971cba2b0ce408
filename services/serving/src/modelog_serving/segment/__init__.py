"""What was sealed of the prediction log: segments, each an event with the Merkle root of its answers."""
