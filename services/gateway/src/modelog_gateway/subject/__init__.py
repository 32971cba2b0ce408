"""Subjects: whom requests for predictions were about, and that what was kept sealed of them was erased."""
