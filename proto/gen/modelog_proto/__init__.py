"""The contracts of Modelog as generated Python; written by `make proto`."""
