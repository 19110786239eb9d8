"""What is written to connections: signals as the fold placed them, and notes that have no place in the log."""

import json
from typing import Any, Final, Protocol

from petit.contracts.ids import ChatId, Epoch, Offset, Seq, UserId
from petit.contracts.rpc import Placement
from petit.contracts.rules import Placed
from petit.contracts.signals import Signal, decode
from petit.notifier.domain.frames import FORMATS, Event, Format, cursor_id, frame, json_line

_OVERHEAD: Final = 600
_COPIES: Final = 3
_COPIED: Final = ("id", "type", "chat", "person", "all", "by", "at")


class Framed(Protocol):
    """Something that can be written to a connection."""

    @property
    def offset(self) -> Offset:
        """Its place in the log; for a note, the place that it was made at."""
        ...

    @property
    def by(self) -> UserId:
        """Whose it is."""
        ...

    @property
    def nonce(self) -> str | None:
        """The author's own mark: where there is one, the author's devices get frames of their own."""
        ...

    def frame(self, form: Format, *, own: bool = False) -> bytes:
        """Return its bytes; `own` for its author's devices."""
        ...


class Item:
    """A signal as the fold placed it: the same whether it came by the feed or as backlog.

    Args:
        payload: The stored JSON of the signal.
        placed: What the fold made of it.
    """

    __slots__ = ("_frames", "_payload", "_placed", "by", "chat", "epoch", "nonce", "offset")

    def __init__(self, signal: Signal, *, payload: bytes | str, epoch: Epoch, offset: Offset, placed: Placed) -> None:
        self._payload = payload
        self._placed = placed
        self._frames: list[bytes | None] | None = None
        self.epoch = epoch
        self.offset = offset
        self.chat: ChatId | None = getattr(signal, "chat", None)
        self.by = signal.by
        self.nonce = signal.nonce

    @classmethod
    def of(cls, placement: Placement, *, epoch: Epoch) -> "Item":
        """Return the item of a backlog's entry.

        Raises:
            UndecodableError: the payload is no signal, which the fold would not have placed.
        """
        placed = Placed(
            seq=placement.seq, to_members=placement.to_members, also=placement.also, successor=placement.successor
        )
        signal = decode(placement.payload)
        return cls(signal, payload=placement.payload, epoch=epoch, offset=placement.offset, placed=placed)

    @property
    def to_members(self) -> bool:
        """Whether everybody sees it who is a member now and was there already."""
        return self._placed.to_members

    @property
    def also(self) -> tuple[UserId, ...]:
        """People who see it whether they are members or not."""
        return self._placed.also

    @property
    def seq(self) -> Seq | None:
        """A message's place in its chat; None for everything else."""
        return self._placed.seq

    @property
    def cost(self) -> int:
        """About how many bytes it keeps in memory: the payload, and frames of two formats."""
        return _OVERHEAD + _COPIES * len(self._payload)

    def visible(self, user: UserId, *, since: Offset | None) -> bool:
        """Say whether a person sees it.

        Args:
            since: The offset at which the person became a member of the chat; None if not a member now.
        """
        return (self.to_members and since is not None and self.offset >= since) or user in self.also

    def frame(self, form: Format, *, own: bool = False) -> bytes:
        """Return its bytes, encoded once per format; `own` for its author's devices. See `Framed.frame`."""
        if own and self.nonce is not None:
            return self._encode(form, own=True)
        frames = self._frames
        if frames is None:
            frames = self._frames = [None] * len(FORMATS)
        made = frames[form]
        if made is None:
            made = frames[form] = self._encode(form, own=False)
        return made

    def _encode(self, form: Format, *, own: bool) -> bytes:
        stored: dict[str, Any] = json.loads(self._payload)
        data: dict[str, Any] = {"offset": self.offset}
        if self._placed.seq is not None:
            data["seq"] = self._placed.seq
        data |= {name: stored[name] for name in _COPIED if stored.get(name) is not None}
        if own:
            data["nonce"] = self.nonce
        if form.thin:
            data["href"] = _href(stored, offset=self.offset)
        else:
            data["data"] = stored.get("data", {})
            if self._placed.successor is not None:
                data["data"]["owner"] = self._placed.successor
        return frame(form, event=Event.SIGNAL, id=cursor_id(self.epoch, self.offset), data=json_line(data))


class Note:
    """An ephemeral: best effort, no offset of its own; its id is the place in the log that it was made at.

    Args:
        offset: Everything up to here was handed to the connection before.
        data: What the `ephemeral` event carries.
    """

    __slots__ = ("_data", "by", "epoch", "offset")

    nonce: Final = None

    def __init__(self, data: dict[str, Any], *, epoch: Epoch, offset: Offset, by: UserId) -> None:
        self._data = json_line(data)
        self.epoch = epoch
        self.offset = offset
        self.by = by

    def frame(self, form: Format, *, own: bool = False) -> bytes:
        """Return its bytes. See `Framed.frame`."""
        return frame(form, event=Event.EPHEMERAL, id=cursor_id(self.epoch, self.offset), data=self._data)


def _href(stored: dict[str, Any], *, offset: Offset) -> str:
    """Return where a thin stream's client reads what it was not sent, once the fold has it."""
    chat, kind = stored.get("chat"), stored.get("type")
    if chat is None:
        return "/v1/me"
    data = stored.get("data")
    message = stored.get("id") if kind == "msg" else data.get("message") if isinstance(data, dict) else None
    where = f"/v1/chats/{chat}" if message is None else f"/v1/chats/{chat}/messages/{message}"
    return f"{where}?min_offset={offset}"
