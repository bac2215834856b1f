"""How linkspan's processes talk: a JSON value a line over UNIX sockets, descriptors beside it."""
