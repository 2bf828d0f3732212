"""Lists that duplicate finders really wrote, with the right answer to each; and what makes them."""
