"""The HTTP edge: authenticate, authorise, limit, publish, ask."""
