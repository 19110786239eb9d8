"""The Python client: send, read, and a stream that resumes by itself."""
