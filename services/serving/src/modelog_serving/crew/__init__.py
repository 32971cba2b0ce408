"""Worker processes that answer requests on the same ports, and what the process that decides has to do with them."""
