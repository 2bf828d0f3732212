"""Tables as they are found and pinned."""
