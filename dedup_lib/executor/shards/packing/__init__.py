"""Write the rows of tables as samples of new shards."""
