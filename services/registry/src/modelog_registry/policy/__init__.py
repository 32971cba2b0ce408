"""The rules of promotions, as a policy with versions."""
