"""Requests over NATS, to the handlers: those to the owner of a partition, and those that any replica answers."""
