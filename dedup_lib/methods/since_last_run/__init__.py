"""Method `since-last-run`, for each format that has commits: update an output by the changes."""
