"""Every statement that is sent to the database while it serves, prepared once.

A read restricts its whole partition key by equality; nothing is filtered, indexed or joined. A write says which of
two holds by its timestamp: the offset of its signal unless said otherwise (see `places`).
"""

from typing import Final

# ── reads ───────────────────────────────────────────────────────────────────────────────────────────

META: Final = "SELECT value FROM meta WHERE name = ?"
CHECKPOINTS: Final = "SELECT partition, offset FROM checkpoints WHERE store = 0"
RULES: Final = "SELECT version FROM rules WHERE store = 0"
CHAT: Final = (
    "SELECT chat, offset, kind, title, about, created_at, head_seq, last_offset, members_count, signals"
    " FROM chat_state WHERE chat = ?"
)
MEMBERS: Final = "SELECT user, offset, joined_offset, from_offset, role, joined_at FROM members WHERE chat = ?"
MEMBERS_OF: Final = "SELECT user, joined_offset, from_offset, role, joined_at FROM members WHERE chat = ? AND user IN ?"
JOININGS: Final = (
    "SELECT joined_offset, user FROM members_by_joining WHERE chat = ? AND (joined_offset, user) > (?, ?) LIMIT ?"
)
SPAN: Final = (
    "SELECT joined_offset, from_offset, role, joined_at, to_offset FROM member_spans"
    " WHERE chat = ? AND user = ? AND from_offset <= ? LIMIT 1"
)
MEMBERSHIPS: Final = "SELECT chat, joined_offset FROM memberships WHERE user = ?"
MEMBERSHIPS_IN: Final = "SELECT user, chat, offset, joined_offset, role FROM memberships WHERE user = ? AND chat IN ?"
MESSAGES: Final = (
    "SELECT offset, chat, seq, id, author, payload, to_members, also, successor"
    " FROM messages WHERE chat = ? AND bucket = ? AND seq >= ? AND seq <= ?"
)
SLICE_AT: Final = "SELECT slice FROM slices WHERE chat = ? AND first_offset <= ? LIMIT 1"
HEAD_AT: Final = "SELECT head FROM timeline WHERE chat = ? AND slice = ? AND offset <= ? LIMIT 1"
TIMELINE: Final = (
    "SELECT offset, chat, head, message, id, author, payload, bytes, to_members, also, successor, void"
    " FROM timeline WHERE chat = ? AND slice = ? AND offset > ? AND offset <= ? LIMIT ?"
)
MESSAGE_IDS: Final = "SELECT seq FROM ids WHERE id = ? AND chat = ?"
IDS: Final = "SELECT chat, author, offset, slice, seq FROM ids WHERE id = ?"
WINDOWS: Final = "SELECT window FROM person_windows WHERE user = ? AND window >= ? AND window <= ?"
PERSON: Final = (
    "SELECT user, offset, payload, to_members, also, successor"
    " FROM person_signals WHERE user = ? AND window = ? AND offset > ? AND offset <= ? LIMIT ?"
)
MARKERS: Final = "SELECT user, seq FROM markers WHERE chat = ? AND user IN ?"
DELIVERED: Final = "SELECT user, seq FROM delivered WHERE chat = ? AND user IN ?"
LISTINGS: Final = "SELECT folded, chat FROM directory WHERE shard = ? AND (folded, chat) > (?, ?) LIMIT ?"
UNANNOUNCED: Final = "SELECT partition, offset, chat, message, author, reason FROM unannounced WHERE partition = ?"

# ── writes ──────────────────────────────────────────────────────────────────────────────────────────

PUT_META: Final = "INSERT INTO meta (name, value) VALUES (?, ?) USING TIMESTAMP ?"
PUT_CHECKPOINT: Final = "INSERT INTO checkpoints (store, partition, offset) VALUES (0, ?, ?) USING TIMESTAMP ?"
PUT_RULES: Final = "INSERT INTO rules (store, offset, version) VALUES (0, ?, ?) USING TIMESTAMP ?"
PUT_CHAT: Final = (
    "INSERT INTO chat_state (chat, offset, kind, title, about, created_at, head_seq, last_offset, members_count,"
    " signals) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
PUT_MEMBER: Final = (
    "INSERT INTO members (chat, user, offset, joined_offset, from_offset, role, joined_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
END_MEMBER: Final = "INSERT INTO members (chat, user, offset, joined_offset) VALUES (?, ?, ?, 0) USING TIMESTAMP ?"
PUT_JOINING: Final = "INSERT INTO members_by_joining (chat, joined_offset, user) VALUES (?, ?, ?) USING TIMESTAMP ?"
DROP_JOINING: Final = (
    "DELETE FROM members_by_joining USING TIMESTAMP ? WHERE chat = ? AND joined_offset = ? AND user = ?"
)
PUT_SPAN: Final = (
    "INSERT INTO member_spans (chat, user, from_offset, joined_offset, role, joined_at)"
    " VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
END_SPAN: Final = "INSERT INTO member_spans (chat, user, from_offset, to_offset) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
PUT_MEMBERSHIP: Final = (
    "INSERT INTO memberships (user, chat, offset, joined_offset, role) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
PUT_MESSAGE: Final = (
    "INSERT INTO messages (chat, bucket, seq, offset, id, author, payload, to_members, also, successor)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
PUT_PLACE: Final = (
    "INSERT INTO timeline (chat, slice, offset, head, message) VALUES (?, ?, ?, ?, true) USING TIMESTAMP ?"
)
PUT_SIGNAL: Final = (
    "INSERT INTO timeline (chat, slice, offset, head, message, id, author, payload, bytes, to_members, also, successor,"
    " void) VALUES (?, ?, ?, ?, false, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
PUT_SLICE: Final = "INSERT INTO slices (chat, first_offset, slice) VALUES (?, ?, ?) USING TIMESTAMP ?"
PUT_ID: Final = "INSERT INTO ids (id, chat, author, offset, slice, seq) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
PUT_PERSON: Final = (
    "INSERT INTO person_signals (user, window, offset, payload, to_members, also, successor)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
PUT_WINDOW: Final = "INSERT INTO person_windows (user, window) VALUES (?, ?) USING TIMESTAMP ?"
PUT_RAW: Final = (
    "INSERT INTO raw_signals (scope, key, window, offset, kind, payload) VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
PUT_MARKER: Final = "INSERT INTO markers (chat, user, epoch, seq) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
"""The timestamp is the seq: the furthest holds."""
PUT_DELIVERED: Final = "INSERT INTO delivered (chat, user, seq) VALUES (?, ?, ?) USING TIMESTAMP ?"
"""As `PUT_MARKER`."""
PUT_LISTING: Final = "INSERT INTO directory (shard, folded, chat, offset) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
DROP_LISTING: Final = "DELETE FROM directory USING TIMESTAMP ? WHERE shard = ? AND folded = ? AND chat = ?"
PUT_VOID: Final = (
    "INSERT INTO unannounced (partition, offset, chat, message, author, reason)"
    " VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"
)
DROP_VOID: Final = "DELETE FROM unannounced USING TIMESTAMP ? WHERE partition = ? AND offset = ?"
"""The send's own offset: of two with one timestamp, deletion holds, whichever comes first."""

ALL: Final = tuple(
    text for name, text in list(globals().items()) if name.isupper() and isinstance(text, str) and " " in text
)
"""What is prepared when a store is opened."""
