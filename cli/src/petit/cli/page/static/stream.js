/** All that happens, as one stream that resumes by itself: an EventSource with a cookie, or fetch with a header. */

import { LoggedOut, Refused, pause } from "./api.js";

const EVENTS = ["hello", "signal", "gap", "heartbeat", "expiring", "bye"];
const SILENCE = 2.5; // heartbeats that may fail to come before a connection counts as dead
const RENEW_MS = 60_000;

export class Stream {
  #api;
  #onFrame;
  #onState;
  #cookie;
  #cursor = null;
  #connection = null;
  #heartbeatS = 25;
  #failures = 0;
  #stopped = false;
  #watch = 0;
  #close = () => {};

  /** @param {boolean} cookie - This tab is one person's alone, so the browser may do the reconnecting. */
  constructor(api, { cookie, onFrame, onState }) {
    this.#api = api;
    this.#cookie = cookie;
    this.#onFrame = onFrame;
    this.#onState = onState;
  }

  /** Run until stopped; throws what only a person can mend. */
  async run() {
    while (!this.#stopped) {
      try {
        await (this.#cookie ? this.#byCookie() : this.#byHeader());
      } catch (error) {
        if (error instanceof LoggedOut || error.status === 403) throw error;
        if (error.status === 410) this.#cursor = null; // the next hello begins anew
      }
      if (this.#stopped) return;
      this.#onState("reconnecting");
      await pause(this.#failures++);
    }
  }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#watch);
    this.#close();
  }

  async #byCookie() {
    // An EventSource does not tell why it was refused, so we ask before we open the next one.
    if (this.#cursor) await this.#api.get(`/v1/cursor?cursor=${this.#cursor}`);
    await this.#setCookie();
    const source = new EventSource(`/v1/stream${this.#cursor ? `?cursor=${this.#cursor}` : ""}`);
    await new Promise((done) => {
      this.#close = () => done(source.close());
      this.#listen();
      source.onerror = () => (source.readyState === EventSource.CLOSED ? done() : this.#onState("reconnecting"));
      for (const event of EVENTS) {
        source.addEventListener(event, ({ lastEventId, data }) => this.#take(event, lastEventId, JSON.parse(data)));
      }
    });
  }

  async #byHeader() {
    const abort = new AbortController();
    this.#close = () => abort.abort();
    this.#listen();
    const headers = this.#cursor ? { "Last-Event-ID": this.#cursor } : {};
    const answer = await this.#api.request("/v1/stream", { headers, signal: abort.signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ; ) {
      const { value, done } = await reader.read();
      if (done) return;
      const frames = (rest + value).split("\n\n");
      rest = frames.pop();
      for (const frame of frames) {
        const { event, id, data } = Object.fromEntries(frame.split("\n").map((line) => line.split(/: ?(.*)/)));
        if (data) this.#take(event, id, JSON.parse(data));
      }
    }
  }

  #setCookie() {
    return this.#api.call("POST", "/v1/tickets", { cookie: true }, { credentials: "same-origin" });
  }

  /** From now on, something has to come in time. */
  #listen() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => this.#close(), SILENCE * this.#heartbeatS * 1000);
  }

  #take(event, id, data) {
    this.#listen();
    if (event === "hello") {
      if (data.user !== this.#api.me.id) {
        this.#cookie = false; // another tab's person has the cookie now
        this.#close();
        return;
      }
      this.#failures = 0;
      this.#connection = data.connection;
      this.#heartbeatS = data.heartbeat_s;
      this.#api.skewMs = Date.parse(data.server_time) - Date.now();
      this.#onState("live");
    } else if (event === "expiring") {
      this.#renew().catch(() => this.#close()); // a stream that cannot be renewed is opened again, or not at all
    }
    this.#cursor = id;
    this.#onFrame(event, data);
  }

  async #renew() {
    const token = await this.#api.token(RENEW_MS);
    if (this.#cookie) await this.#setCookie();
    await this.#api.call("POST", `/v1/streams/${this.#connection}/token`, { token });
  }
}
