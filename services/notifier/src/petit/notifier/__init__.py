"""The live edge: one stream a device, over SSE or WebSocket, from one hub."""
