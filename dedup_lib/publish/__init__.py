"""Tables that are staged where no reader looks, verified, and put in place."""
