"""One Spark session, classic or Connect, and the file systems that it reaches."""
