"""Decide which rows to remove, from IDs alone, and check the safety limits."""
