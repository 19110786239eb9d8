"""One command: up, send, tail, chats, load, doctor."""
