"""After a burst of sends: how long the fold takes to catch up, and whether history has every message once."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from petit.cli.load.api import Api
from petit.cli.load.result import Folding
from petit.cli.load.stage import Company
from petit.cli.load.stamp import NUMBER_DIGITS, Stamp

_PAGE = 200
_NS = 1_000_000_000


async def folding(
    api: Api,
    *,
    companies: list[Company],
    acknowledged: list[dict[int, int]],
    stamp: Stamp,
    last: int,
    note: Callable[[str], None],
) -> Folding:
    """Wait for the fold, then read every room's history.

    Args:
        api: the server.
        companies: the rooms.
        acknowledged: offset by number, one mapping of each room.
        stamp: tells this run's messages.
        last: monotonic nanoseconds of the last acknowledgement.
        note: told how far it is.

    Raises:
        ApiRefused: a read is refused.
    """
    offset = max((at for room in acknowledged for at in room.values()), default=0)

    async def reflected(company: Company) -> None:
        path = f"/v1/chats/{company.chat}/messages?limit=1&min_offset={offset}"
        await api.ask("GET", path, token=company.people[0].token)

    note("waiting for the fold")
    await asyncio.gather(*map(reflected, companies))
    seconds = (time.monotonic_ns() - last) / _NS
    done = 0

    async def read(company: Company) -> list[str]:
        nonlocal done
        found = await _history(api, company=company, acknowledged=acknowledged[company.index], stamp=stamp)
        done += 1
        note(f"history of {done} of {len(companies)} rooms read")
        return found

    violations = [what for found in await asyncio.gather(*map(read, companies)) for what in found]
    return Folding(offset=offset, seconds=seconds, checked=sum(map(len, acknowledged)), violations=violations)


async def _history(api: Api, *, company: Company, acknowledged: dict[int, int], stamp: Stamp) -> list[str]:
    """Page one room from its beginning, and say what is wrong with it."""
    mark = stamp.mark.decode("ascii")
    token, room = company.people[0].token, f"room {company.index}"
    seen: dict[int, int] = {}
    found: list[str] = []
    seq = 0
    while True:
        path = f"/v1/chats/{company.chat}/messages?after={seq}&limit={_PAGE}"
        items: list[dict[str, Any]] = (await api.ask("GET", path, token=token)).json()["items"]
        if not items:
            break
        for item in items:
            seq += 1
            if item["seq"] != seq:
                found.append(f"{room}: history has seq {item['seq']} where {seq} should be")
                seq = int(item["seq"])
            text = str(item["text"])
            if text.startswith(mark):
                number = int(text[len(mark) : len(mark) + NUMBER_DIGITS])
                if number in seen:
                    found.append(f"{room}: history has message {number} twice")
                seen[number] = int(item["offset"])
    lost = acknowledged.keys() - seen.keys()
    if lost:
        found.append(f"{room}: history lacks {len(lost)} acknowledged messages, among them {min(lost)}")
    wrong = [number for number, at in acknowledged.items() if seen.get(number, at) != at]
    if wrong:
        found.append(
            f"{room}: history has {len(wrong)} messages at other offsets than acknowledged, such as {wrong[0]}"
        )
    return found
