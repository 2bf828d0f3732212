"""Small tables by other programs, which pyarrow can't write, and the script that makes them."""
