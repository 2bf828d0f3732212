"""Code that is sent to executors; it imports neither Spark nor the rest of this library."""
