"""Which stretch of a chat a history request means. Since seq has no holes, a page is a range of seqs."""

from typing import NamedTuple

from petit.contracts.ids import Seq
from petit.contracts.rpc import HistoryAsk


class Window(NamedTuple):
    """Seqs from `first` to `last`, both included; empty where `last` is below `first`."""

    first: int
    last: int


def window(ask: HistoryAsk, *, first: Seq, head: Seq) -> Window:
    """Return the page asked for, of a chat of which the viewer may see `first` to `head`.

    `around` has its seq in the middle and is filled where there is more on one side; a page is shorter than
    `limit` only where the chat ends. Without a place it is the newest page.
    """
    if ask.before is not None:
        last = min(ask.before - 1, head)
        return Window(max(first, last - ask.limit + 1), last)
    if ask.after is not None:
        begin = max(first, ask.after + 1)
        return Window(begin, min(head, begin + ask.limit - 1))
    if ask.at is not None:
        begin = max(first, ask.at)
        return Window(begin, min(head, begin + ask.limit - 1))
    if ask.around is not None:
        begin = min(ask.around - ask.limit // 2, head - ask.limit + 1)
        begin = max(first, begin)
        return Window(begin, min(head, begin + ask.limit - 1))
    return Window(max(first, head - ask.limit + 1), head)
