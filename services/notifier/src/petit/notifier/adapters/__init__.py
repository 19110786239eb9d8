"""The ports over NATS."""
