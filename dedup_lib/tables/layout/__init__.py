"""The files of a table, and what the names of files and directories say."""
