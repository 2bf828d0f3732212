"""Spark's standalone cluster, and executors that are killed."""
