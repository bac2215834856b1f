"""How linkspan's processes talk: one JSON value a line over a UNIX socket, descriptors beside it."""
