"""The HTTP side of the API: routes by feature, problems, limits, and the thin `send` in front of FastAPI."""
