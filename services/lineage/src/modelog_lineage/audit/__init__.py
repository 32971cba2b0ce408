"""The audit trail: a Merkle tree over every event, signed checkpoints, proofs."""
