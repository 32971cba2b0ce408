"""Merkle trees, signed checkpoints and offline verification of a Modelog event log."""
