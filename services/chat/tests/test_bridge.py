"""The bridge to the driver: what it calls back twice for one request counts once."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from petit.chat.adapters.cql.bridge import Bridge, Page
from petit.chat.adapters.cql.driver import Database
from petit.chat.ports import CqlServer

PAGES = {None: ([("a",), ("b",)], b"1"), b"1": ([("c",)], b"2"), b"2": ([("d",), ("e",)], None)}
"""What a table answers, by where the page begins."""


class Twice:
    """A request that two nodes answer: the driver calls back for each, the second time perhaps in between pages."""

    def __init__(self, rows: list[tuple[str]], more: bytes | None) -> None:
        self._answer = rows
        self._paging_state = more

    def add_callbacks(self, callback: Callable[[Any], None], errback: Callable[[BaseException], None]) -> None:
        """Answer at once, once more at once, and late; and fail in the end."""
        loop = asyncio.get_running_loop()
        callback(list(self._answer))
        callback(list(self._answer))
        loop.call_soon(callback, list(self._answer))
        loop.call_later(0.001, callback, list(self._answer))
        loop.call_later(0.001, errback, OSError("late"))


class Session:
    """As much of the driver's session as reading takes."""

    def __init__(self) -> None:
        self.asked: list[bytes | None] = []

    def execute_async(
        self, statement: object, values: object = None, *, paging_state: bytes | None = None, **_: object
    ) -> Twice:
        """Answer the page that is asked for, twice."""
        self.asked.append(paging_state)
        return Twice(*PAGES[paging_state])


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
async def database(session: Session) -> Database:
    """A database whose every answer arrives twice."""
    found = Database(CqlServer(hosts=("127.0.0.1",)))
    found._session = session  # noqa: SLF001 - in the driver's place
    return found


async def test_the_first_of_two_answers_counts() -> None:
    response = Twice([("first",)], None)

    page = await Bridge().answer(response)

    assert page == Page([("first",)], None)


async def test_no_page_of_a_table_is_doubled_by_an_answer_that_comes_twice(
    database: Database, session: Session
) -> None:
    rows = [row async for row in database.scan("SELECT name FROM letters")]

    assert rows == [("a",), ("b",), ("c",), ("d",), ("e",)]
    assert session.asked == [None, b"1", b"2"]


async def test_no_page_of_a_question_is_doubled_by_an_answer_that_comes_twice(
    database: Database, session: Session
) -> None:
    rows: Sequence[tuple[str]] = await database.run("SELECT name FROM letters")

    assert rows == [("a",), ("b",), ("c",), ("d",), ("e",)]
    assert session.asked == [None, b"1", b"2"]
