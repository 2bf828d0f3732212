"""Small tables and lists, made without Spark."""
