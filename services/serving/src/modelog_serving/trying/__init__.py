"""Tries versions soon after they are registered, apart from traffic: each in a process that is of no other use."""
