"""The routes of the live edge, as plain ASGI: open a stream, renew its token, look at a cursor."""
