"""Backing up a stream and restoring it as NATS's own tools do: their protocol, spoken as the user `operator`."""

import json
from dataclasses import dataclass
from typing import Any, Final

from petit.kit.connection import Connection

_CHUNK: Final = 128 * 1024
_WITHIN_S: Final = 10.0
_END: Final = "204"
"""How the server says that there is no more; 408 where acknowledgements did not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A copy of a stream."""

    config: dict[str, Any]
    state: dict[str, Any]
    chunks: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.chunks))


async def back_up(nc: Connection, stream: str) -> Backup:
    """Take a copy; the server waits until what it sent was acknowledged.

    Raises:
        TimeoutError: nothing came any more.
    """
    inbox = nc.new_inbox()
    heard = await nc.subscribe(inbox, pending_bytes_limit=2**30)
    request = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": _CHUNK}
    answer = await _ask(nc, f"$JS.API.STREAM.SNAPSHOT.{stream}", request)
    chunks = []
    while (chunk := await heard.next_msg(timeout=_WITHIN_S)).data:
        chunks.append(chunk.data)
        if chunk.reply:
            await nc.publish(chunk.reply)
    await heard.unsubscribe()
    assert (chunk.headers or {}).get("Status", _END) == _END, chunk.headers
    return Backup(config=answer["config"], state=answer["state"], chunks=tuple(chunks))


async def restore(nc: Connection, backup: Backup) -> None:
    """Bring a stream back that is not there."""
    name = backup.config["name"]
    request = {"config": backup.config, "state": backup.state}
    subject = (await _ask(nc, f"$JS.API.STREAM.RESTORE.{name}", request))["deliver_subject"]
    for chunk in backup.chunks:
        await nc.replies.request(subject, chunk, within=_WITHIN_S)
    made = json.loads(await nc.replies.request(subject, b"", within=_WITHIN_S))
    assert "error" not in made, made


async def _ask(nc: Connection, subject: str, request: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        await nc.replies.request(subject, json.dumps(request).encode(), within=_WITHIN_S)
    )
    assert "error" not in answer, answer
    return answer
