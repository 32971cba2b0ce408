"""The rules of retirement, as a policy with versions."""
