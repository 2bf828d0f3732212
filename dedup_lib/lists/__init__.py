"""Read removal lists of many producers as typed entries."""
