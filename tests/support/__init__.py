"""What tests are made of: nothing in here is a test."""
