/** One person's way into the API: a log-in, and calls that are tried again until their answer is final. */

import { CLIENT, issuer } from "./login.js";

const MARGIN_MS = 30_000; // a token that ends sooner is renewed before it is used

/** The server said no, and will say no again. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.error_description ?? `The server answered ${status}.`);
    this.status = status;
  }
}

/** The session is over: only a new log-in helps. */
export class LoggedOut extends Error {}

/** Wait before the next try: longer after each failure, and never together with everybody else. */
export const pause = (failures) =>
  new Promise((done) => setTimeout(done, Math.min(5_000, 150 * 2 ** failures) * (0.5 + Math.random() / 2)));

export class Api {
  #grant = null;
  #renewing = null;
  #key;

  /** @param {string} pane - What the tab remembers the session by. */
  constructor(pane) {
    this.#key = `petit.${pane}`;
    this.me = null;
    this.skewMs = 0; // how far the server's clock is ahead of ours
  }

  /** Begin the session that the browser came back from the issuer with. */
  async begin(form) {
    await this.#ask(form);
    this.me = await this.get("/v1/me");
  }

  /** Go on with the session that this tab remembers. */
  async resume() {
    const kept = sessionStorage.getItem(this.#key);
    if (!kept) throw new LoggedOut();
    await this.#ask({ grant_type: "refresh_token", refresh_token: kept });
    this.me = await this.get("/v1/me");
  }

  async logOut() {
    sessionStorage.removeItem(this.#key);
    const body = new URLSearchParams({ client_id: CLIENT, refresh_token: this.#grant.refresh_token });
    await fetch(`${await issuer()}/logout`, { method: "POST", body }).catch(() => null);
  }

  /** Return a token that is good for a while yet. */
  async token(leftMs = MARGIN_MS) {
    if (this.#grant.endsAt - Date.now() < leftMs) {
      const form = { grant_type: "refresh_token", refresh_token: this.#grant.refresh_token };
      await (this.#renewing ??= this.#ask(form).finally(() => (this.#renewing = null)));
    }
    return this.#grant.access_token;
  }

  async #ask(form) {
    const body = new URLSearchParams({ client_id: CLIENT, ...form });
    const answer = await fetch(`${await issuer()}/token`, { method: "POST", body });
    const grant = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      const final = form.refresh_token && (answer.status === 400 || answer.status === 401);
      throw final ? new LoggedOut("The session has ended.") : new Refused(answer.status, grant);
    }
    this.#grant = { ...grant, endsAt: Date.now() + grant.expires_in * 1000 };
    sessionStorage.setItem(this.#key, grant.refresh_token);
  }

  /** Send one request with a token in its header and no cookie; the answer is ok, or it is thrown. */
  async request(path, { headers, ...init } = {}) {
    for (let again = true; ; again = false) {
      const token = await this.token();
      const whole = { ...init, headers: { ...headers, Authorization: `Bearer ${token}` }, cache: "no-store" };
      const answer = await fetch(path, { credentials: "omit", ...whole });
      if (answer.ok) return answer;
      if (answer.status !== 401 || !again) throw new Refused(answer.status, await answer.json().catch(() => ({})));
      if (token === this.#grant.access_token) this.#grant.endsAt = 0; // whatever we believed of it
    }
  }

  /** Return what the API answers, and at which offset of the log: `asOf` a read, `storedAt` a write. Trouble that
   *  passes is waited out, so a body carries its own id where it must not be done twice. */
  async call(method, path, body, init) {
    const headers = { "Content-Type": "application/json" };
    const sent = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
    for (let failures = 0; ; failures++) {
      try {
        const answer = await this.request(path, { ...sent, ...init });
        const [asOf, storedAt] = ["Petit-As-Of", "Petit-Offset"].map((name) => Number(answer.headers.get(name)));
        return { ...JSON.parse((await answer.text()) || "{}"), asOf, storedAt };
      } catch (error) {
        const final = error instanceof Refused && error.status < 500 && error.status !== 425 && error.status !== 429;
        if (final || error instanceof LoggedOut) throw error;
      }
      await pause(failures);
    }
  }

  get(path) {
    return this.call("GET", path);
  }

  /** Make a UUIDv7 (RFC 9562): once when something is composed, and the same for every try. */
  newId() {
    const time = Math.trunc(Date.now() + this.skewMs).toString(16).padStart(12, "0");
    const chance = crypto.randomUUID();
    return `${time.slice(0, 8)}-${time.slice(8)}-7${chance.slice(15)}`;
  }
}
