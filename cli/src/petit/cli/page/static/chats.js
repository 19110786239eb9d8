/** One person's chats as a copy that signals keep true. Nothing of the document is in here. */

const PAGE = 50;
const WINDOW = 500; // messages of the open chat that are held, unless somebody pages back

export class Chats {
  #api;
  #changed;
  #names = new Map();
  #offset = 0; // everything up to here is reflected
  #settled = false;

  /** @param {(what: "list" | "names" | "messages") => void} changed - Told after each change. */
  constructor(api, changed) {
    this.#api = api;
    this.#changed = changed;
    this.all = new Map(); // chat id -> chat, as the API has it, and what `#put` adds
    this.openId = null;
  }

  /** The chat whose messages are held. */
  get opened() {
    return this.all.get(this.openId);
  }

  /** Latest activity first. */
  list() {
    return [...this.all.values()].sort((a, b) => b.activity - a.activity);
  }

  /** Take a frame of the stream. The first that says where the log is shows how new a first reading has to be. */
  async take(event, data) {
    if (event === "hello" && !data.resumed) {
      this.all = new Map();
      this.#offset = 0;
      this.#settled = false;
      return this.#read();
    }
    const offset = data.offset ?? data.to_offset ?? data.head ?? 0;
    this.#offset = Math.max(this.#offset, offset);
    if (!this.#settled && offset) {
      this.#settled = true;
      await this.#read();
    }
    if (event === "signal") await this.#apply(data);
    if (event === "gap") await this.#reread(data.chat);
  }

  /** Read the list, which has the chats of the latest activity (an older one comes when something happens in it), and
   *  the newest messages of the open chat. */
  async #read() {
    const page = await this.#api.get(`/v1/chats?limit=200&min_offset=${this.#offset}`);
    const before = this.all;
    this.all = new Map();
    for (const chat of page.items) this.#put(chat, { asOf: page.asOf, before: before.get(chat.id) });
    this.#changed("list");
    if (this.openId) await this.open(this.openId);
  }

  /** More was missed than the stream says: what is there now is all there is to know. */
  async #reread(id) {
    if ((await this.read(id)) && id === this.openId) await this.open(id);
  }

  /** Read one chat and return it; null, and it is forgotten, if it is not ours (any more). */
  async read(id) {
    const chat = await this.#api.get(`/v1/chats/${id}?min_offset=${this.#offset}`).catch(gone);
    if (chat?.role) this.#put(chat, { asOf: chat.asOf, before: this.all.get(id) });
    else this.all.delete(id);
    if (!chat?.role && id === this.openId) this.openId = null;
    this.#changed("list");
    return this.all.get(id) ?? null;
  }

  #put(fresh, { asOf, before = { messages: null, seen: new Map(), activity: 0 } }) {
    const activity = Math.max(fresh.last?.offset ?? fresh.joined_offset, before.activity);
    const chat = Object.assign(before, fresh, { asOf, activity });
    this.all.set(chat.id, chat);
    if (chat.kind === "dm" && !chat.peer) this.#findPeer(chat);
  }

  async #findPeer(chat) {
    const members = await this.#api.get(`/v1/chats/${chat.id}/members`).catch(gone);
    chat.peer = members?.items.find((member) => member.user !== this.#api.me.id)?.user;
    this.#changed("names");
  }

  title(chat) {
    return chat.title ?? (chat.peer ? this.name(chat.peer) : "…");
  }

  /** Return somebody's name; until it is known, a dot or three. */
  name(user) {
    if (!this.#names.has(user)) {
      this.#names.set(user, "…");
      this.#api
        .get(`/v1/users/${encodeURIComponent(user)}`)
        .then((person) => this.#names.set(user, person.name || person.username))
        .catch(() => this.#names.set(user, user.slice(0, 8)))
        .finally(() => this.#changed("names"));
    }
    return this.#names.get(user);
  }

  // ── messages: held for the open chat alone, ascending by seq and without a hole ──

  async open(id) {
    for (const each of this.all.values()) if (each.id !== id) each.messages = null;
    this.openId = id;
    const chat = this.opened ?? (await this.read(id));
    if (!chat) return;
    const page = await this.#history("").catch(gone);
    if (!page) return; // a signal is on its way that says why
    const next = (chat.messages?.at(-1)?.seq ?? -1) + 1;
    if (page.items[0]?.seq <= next) page.items.forEach((message) => this.#place(chat, message));
    else chat.messages = page.items;
    chat.firstSeq = page.first_seq;
    this.#changed("messages");
    const last = page.items.at(-1);
    if (last?.by !== this.#api.me.id) return;
    const path = `/v1/chats/${id}/messages/${last.id}/views`;
    const views = await this.#api.get(`${path}?limit=200&min_offset=${this.#offset}`).catch(gone);
    for (const { user, seen } of views?.items ?? []) if (seen) this.#see(chat, user, last.seq);
  }

  async earlier() {
    const page = await this.#history(`&before=${this.opened.messages[0].seq}`);
    this.opened.messages.unshift(...page.items);
    this.#changed("messages");
  }

  #history(where) {
    return this.#api.get(`/v1/chats/${this.openId}/messages?limit=${PAGE}&min_offset=${this.#offset}${where}`);
  }

  // ── what happens ──

  /** Apply a signal; one that something read reflects already changes nothing. */
  async #apply(signal) {
    const { chat: id, offset, type, by, data } = signal;
    const chat = this.all.get(id);
    const mine = by === this.#api.me.id;
    if (!id || type === "msg.void") return;
    if (!chat) return void (await this.read(id)); // one that begins, or one from further down the list
    if (type === "msg") this.#place(chat, { ...signal, text: data.text });
    if (type === "view" && !mine) this.#see(chat, by, data.seq);
    if (offset <= chat.asOf) return;
    chat.asOf = offset;
    if (type === "msg") {
      const unread = mine ? 0 : Math.min(100, chat.unread + 1);
      Object.assign(chat, { head_seq: signal.seq, activity: offset, last: { by, text: data.text }, unread });
    } else if (type === "chat.updated") {
      Object.assign(chat, data);
    } else if (type === "joined" || type === "left") {
      if (data.user === this.#api.me.id) return void (await this.read(id));
      chat.members_count += type === "joined" ? 1 : -1;
    } else if (type === "view" && mine) {
      if (data.seq < chat.head_seq) return void (await this.read(id));
      chat.unread = 0;
    }
    this.#changed("list");
  }

  #place(chat, message) {
    const { messages } = chat;
    if (!messages || message.seq <= (messages.at(-1)?.seq ?? 0)) return;
    messages.push(message);
    if (messages.length > WINDOW) messages.shift();
    this.#changed("messages");
  }

  #see(chat, user, seq) {
    chat.seen.set(user, Math.max(seq, chat.seen.get(user) ?? 0));
    this.#changed("list");
  }

  /** Say that everything in a chat was read. */
  async view(chat) {
    chat.unread = 0;
    this.#changed("list");
    await this.#api.call("PUT", `/v1/chats/${chat.id}/view`, { seq: chat.head_seq });
  }

  // ── beginnings ──

  async withPerson(username) {
    const found = await this.#api.get(`/v1/users?limit=200&username=${encodeURIComponent(username)}`);
    const person = found.items.find((each) => each.username === username.toLowerCase());
    if (!person) throw new Error(`There is nobody called ${username}.`);
    return this.#begin("/v1/chats", { kind: "dm", members: [person.id] });
  }

  /** Join the room of this title, or open it where there is none. */
  async inRoom(title) {
    const found = await this.#api.get(`/v1/rooms?limit=200&q=${encodeURIComponent(title)}`);
    const room = found.items.find((each) => each.title === title);
    if (room) return this.#begin(`/v1/chats/${room.id}/join`, {});
    return this.#begin("/v1/chats", { kind: "room", title, id: this.#api.newId() });
  }

  /** Write, and return the id of the chat, which what is read from now on reflects. */
  async #begin(path, body) {
    const { id, chat, storedAt } = await this.#api.call("POST", path, body);
    this.#offset = Math.max(this.#offset, storedAt);
    return id ?? chat.id;
  }
}

/** What is not there (for us) is null; other refusals stay what they are. */
function gone(error) {
  if (error.status === 404) return null;
  throw error;
}
