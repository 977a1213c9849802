"""catalog-cli, the client: the whole API from a terminal. It talks HTTP and imports nothing of the server."""
