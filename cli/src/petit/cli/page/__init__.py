"""The page at `/`, on which people chat live: static files, no build step, nothing from elsewhere.

`/` shows two people side by side, `/?as=ada` one alone. Each pane is a session of its own, logged in at the page of
the issuer that the gateway names, at whatever origin (authorization code with PKCE); its refresh token stays in the
tab's `sessionStorage`, so that a reload goes on. A browser that the issuer knows already is the same person in each
pane: two people need two profiles there, but not with the development issuer, which asks every time.

How a pane gets its stream:

* Alone, it asks for the stream's cookie and opens an `EventSource`: the browser itself comes back after a cut and says
  in `Last-Event-ID` where it was. Only when the server refuses (token, cursor) does the page open another one.
* Side by side that cannot be, because a browser keeps one cookie for an origin, not for a pane: the second log-in would
  take the first one's stream. There the page reads the stream with `fetch`, the token in a header, and does for itself
  what an `EventSource` does.
* Two tabs of different people share the cookie, too. `hello` says whose stream it is; a pane that finds itself on
  somebody else's shows nothing of it and goes on with a header.

Both ways end in the same frames, which are applied one after the other, each moving the cursor. A first `hello` reads
everything afresh. The first frame after it that says where the log is has everything read again, at least as new as
that: the cursor is opaque, and a read may lag behind the stream's beginning. A signal that something read reflects
already changes nothing. After a `gap` the open chat is read from its newest message back: the page never shows a hole.

A browser opens six connections to an origin over HTTP/1.1, and each tab's stream is one of them.
"""

from petit.cli.page.app import page

__all__ = ["page"]
