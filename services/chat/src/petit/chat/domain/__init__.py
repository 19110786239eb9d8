"""What the fold makes of the log: pure functions from signals to rows, and the windows that history is read in."""
