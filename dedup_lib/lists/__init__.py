"""Removal lists: what a producer wrote, as typed entries."""
