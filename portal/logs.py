"""Logs: one JSON line an event on stderr, with UTC time, and never the local variables of a failed call."""

import sys

import structlog


def configure() -> None:
    """Set up structlog for this process. Tracebacks hold lines of code only, so no password or token can slip in."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
