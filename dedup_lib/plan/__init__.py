"""Which rows go, from IDs alone, and whether they may."""
