"""Releases: a version takes over a deployment's traffic step by step, and evidence decides how far it comes."""
