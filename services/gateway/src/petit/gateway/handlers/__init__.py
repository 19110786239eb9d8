"""What the gateway does: send, propose, move markers, read. REST routes and WebSocket frames end here alike."""
