"""The page at `/`, on which people chat live: static files, no build step, nothing from elsewhere.

`/` shows two people side by side, `/?as=ada` one alone. Each pane is a session of its own, logged in by name and
password; its refresh token stays in the tab's `sessionStorage`, so that a reload goes on.

How a pane gets its stream:

* Alone, it asks for the stream's cookie and opens an `EventSource`: the browser itself comes back after a cut and says
  in `Last-Event-ID` where it was. Only when the server refuses (token, cursor) does the page open another one.
* Side by side that cannot be, because a browser keeps one cookie for an origin, not for a pane: the second log-in would
  take the first one's stream. There the page reads the stream with `fetch`, the token in a header, and does for itself
  what an `EventSource` does.
* Two tabs of different people share the cookie, too. `hello` says whose stream it is; a pane that finds itself on
  somebody else's shows nothing of it and goes on with a header.

Both ways end in the same frames. A frame moves the cursor, and frames are applied one after the other: a first `hello`
reads everything afresh, at least as new as the stream's beginning; a signal that something read already reflects
changes nothing; a `gap` is read from the newest message back, so that the page never shows a hole.

A browser opens six connections to an origin over HTTP/1.1, and each tab's stream is one of them.
"""

from petit.cli.page.app import page

__all__ = ["page"]
