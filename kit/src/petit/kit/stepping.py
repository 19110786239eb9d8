"""Reading a stream entry by entry from who leads it, for while no consumer can be made.

Whoever leads JetStream as a whole makes consumers; entries are read from whoever leads their stream, and that may be
another node. So a stream can take and give entries while nobody can be made to push them: until the others have noticed
that the former is gone, and have elected another, which may take as long as 20 s and, with bad luck, once more.

Who led the stream before may answer too, and know less. So each question is for the first entry *from* an offset on:
where there is nothing at an offset but something behind it, it is one node that says so.
"""

import asyncio
from typing import Final

from petit.kit.jetstream import JetStream, RawEntry
from petit.kit.log import Entry

_AT_ONCE: Final = 64
_WITHIN_S: Final = 1.0


async def step(js: JetStream, stream: str, *, after: int, to: int, subject: str = "") -> list[Entry]:
    """Return some entries behind an offset, in order, up to another one; none if who was asked knows of none there.

    Args:
        subject: A filter, which may have wildcards; empty for everything.

    Raises:
        Outage: the stream could not be asked.
    """

    async def first_from(offset: int) -> RawEntry | None:
        return await js.entry(stream, within=_WITHIN_S, seq=offset, next_by_subj=subject or ">")

    found: list[Entry] = []
    asked = range(after + 1, min(after + (1 if subject else _AT_ONCE), to) + 1)
    for answer in await asyncio.gather(*map(first_from, asked), return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
        if answer is None or answer.offset > to:
            break
        if not found or answer.offset > found[-1].offset:
            found.append(Entry(answer.offset, answer.subject, answer.payload, answer.time_ns))
    return found
