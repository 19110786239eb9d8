"""How commands keep quiet, and how a server process of `petit up` speaks to its supervisor."""

import json
import logging
import sys

import structlog


def hush() -> None:
    """Let what a short command uses speak up only about what is wrong, and never on standard output."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.KeyValueRenderer(key_order=["event"])],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def tell_ready() -> None:
    """Tell the supervisor that this process takes part now."""
    _tell({"ready": True})


def tell_fatal(why: str) -> None:
    """Tell the supervisor what no restart would cure: one paragraph that says what to do."""
    _tell({"fatal": why})


def _tell(message: dict[str, object]) -> None:
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except OSError:  # the supervisor is gone, and we go with it
        return
