"""The page that shows a plan in figures and pictures."""
