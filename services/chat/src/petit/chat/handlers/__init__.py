"""What the chat service does: fold the log, answer questions, decide proposals."""
