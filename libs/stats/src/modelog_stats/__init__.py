"""Statistics of comparisons: two models on the same rows, repeated runs, A/B tests.

Nothing is imported here: `scipy.stats` takes longer than all the rest, and only who compares should pay for it.
"""
