"""The connections themselves: SSE and WebSocket, on transports taken from the HTTP server."""
