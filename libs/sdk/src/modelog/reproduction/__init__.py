"""A recorded run, run again: in the environment, from the source and on the data that it had."""

from modelog.reproduction.reproduce import Plan, Reproduced, reproduce

__all__ = ["Plan", "Reproduced", "reproduce"]
