"""The job as a process of its own, and scripts that such a process runs."""
