"""What is timed: one long-lived process a peer, which serves one request after another."""
