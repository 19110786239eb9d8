"""What the live edge does: routes the log to people, lets connections catch up, ends them in time."""
