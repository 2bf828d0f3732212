"""Runs that fail, are killed, or meet other runs at a named place."""
