"""The fold of the log into read models; answers queries and decides commands."""
