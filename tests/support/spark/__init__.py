"""The suite's Spark: how it starts quickly, and what it says of a run."""
