"""A service as a process of its own: how it logs, and how it ends."""

import logging
import sys
from collections.abc import Coroutine, Iterator
from typing import Any, Final

import structlog

from petit.kit.errors import LogFault, Outage
from petit.kit.serving import run

FAILED: Final = 1
"""Exit status where the process could not start, or could not go on; the last line of its log says why."""

_log = structlog.get_logger(__name__)


def process(main: Coroutine[Any, Any, None], *, known: tuple[type[Exception], ...] = ()) -> None:
    """Run a service until it returns; where it fails for a known reason, say that and exit instead of a traceback.

    Args:
        main: The service.
        known: What else is no bug, beside outages and faults of the log.
    """
    configure_logs()
    try:
        run(main)
    except Exception as error:
        expected = (Outage, LogFault, OSError, *known)
        why = next((leaf for leaf in leaves(error) if isinstance(leaf, expected)), None)
        if why is None:
            raise
        _log.critical("process.failed", reason=why.detail if isinstance(why, Outage) else str(why))
        sys.exit(FAILED)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors of a group, however deep; of another error, itself."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves(part)
    else:
        yield error


def configure_logs() -> None:
    """Log as one JSON object a line to standard error: ours, and what libraries say from warnings on."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        # Never with local variables: they hold tokens and what people wrote.
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("petit").setLevel(logging.INFO)
