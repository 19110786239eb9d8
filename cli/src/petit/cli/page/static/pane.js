/** One person's pane: shows chats and messages, and hands on what the person does. */

import { Api, LoggedOut } from "./api.js";
import { Chats } from "./chats.js";
import { goToLogIn } from "./login.js";
import { chatRow, fillChatRow, fillFace, messageRow, pendingRow } from "./rows.js";
import { Stream } from "./stream.js";

const STATES = { connecting: "Connecting…", live: "Live", reconnecting: "Reconnecting…" };
const SOON_MS = 250;

export class Pane {
  #root;
  #alone;
  #onLeave;
  #api;
  #chats;
  #stream;
  #pending = new Map(); // message id -> {chat, text, offset}: composed here, and not yet come back by the stream
  #work = Promise.resolve(); // frames, and reads that must not overtake them, one after the other
  #sending = Promise.resolve(); // sends, in the order in which they were composed
  #entries = new Map(); // chat id -> its row in the list
  #drawing = false;
  #viewing = 0;

  /** @param {boolean} alone - This is the only pane on the page. */
  constructor(root, { name, alone, onLeave }) {
    this.#root = root;
    this.#alone = alone;
    this.#onLeave = onLeave;
    this.#api = new Api(name);
    this.#chats = new Chats(this.#api, (what) => this.#changed(what));
    root.dataset.user = name;
    root.setAttribute("aria-label", name);
    this.#find(".chats").setAttribute("aria-label", `Chats of ${name}`);
    this.#on(".login", "submit", () => goToLogIn(name).catch((error) => this.#fail(error)));
    this.#on(".leave", "click", () => this.#leave());
    this.#on(".start", "submit", (event) => this.#start(event));
    this.#on(".earlier", "click", () => this.#queue(() => this.#earlier()));
    this.#on(".back", "click", () => this.#show(null));
    this.#on(".send", "submit", (event) => this.#send(event.target.elements.text));
    this.#find(".log").addEventListener("scroll", () => this.#attend(), { passive: true });
    root.addEventListener("focusin", () => this.#attend());
    window.addEventListener("focus", () => this.#attend());
    this.#find("textarea").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      event.target.form.requestSubmit();
    });
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }

  #on(selector, event, act) {
    this.#find(selector).addEventListener(event, (happening) => {
      happening.preventDefault();
      this.#find(".error").textContent = "";
      act(happening);
    });
  }

  // ── coming and going ──

  /** Go on with the session of before, or begin the one that the browser came back with. */
  async start(back) {
    if (!back) return this.#enter(() => this.#api.resume());
    if (back.error) return this.#leave(new Error(back.error));
    await this.#enter(() => this.#api.begin(back.form));
    if (this.#find(".login").hidden) this.#root.focus();
  }

  async #enter(logIn) {
    try {
      await logIn();
    } catch (error) {
      return this.#leave(error);
    }
    const { id, name, username } = this.#api.me;
    this.#find(".person h2").textContent = name || username;
    fillFace(this.#find(".person .face"), { id, name: name || username });
    this.#reveal(true);
    this.#state("connecting");
    const onFrame = (event, data) => this.#queue(() => this.#take(event, data));
    this.#stream = new Stream(this.#api, { cookie: this.#alone, onFrame, onState: (state) => this.#state(state) });
    this.#stream.run().catch((error) => this.#fail(error));
  }

  /** Show the form again; with a reason, stay here and say it. */
  #leave(error) {
    this.#stream?.stop();
    if (this.#stream && !error) return this.#api.logOut().then(this.#onLeave);
    this.#state("out");
    this.#reveal(false);
    this.#find(".error").textContent = error?.message ?? "";
  }

  #reveal(inside) {
    for (const part of this.#root.querySelectorAll(":scope > :not(.error)")) {
      part.hidden = part.matches(".login") === inside;
    }
  }

  #state(state) {
    this.#root.dataset.state = state;
    this.#find(".state").textContent = STATES[state] ?? "";
  }

  #fail(error) {
    if (error instanceof LoggedOut) this.#leave(error);
    else this.#find(".error").textContent = error.message;
  }

  #queue(work) {
    this.#work = this.#work.then(work).catch((error) => this.#fail(error));
  }

  async #take(event, data) {
    await this.#chats.take(event, data);
    if (data.type === "msg.void") this.#overtaken(data.data.message);
  }

  // ── what the person does ──

  #show(id) {
    this.#chats.openId = id;
    this.#find(".messages").replaceChildren();
    this.#find(".log").ariaBusy = "true"; // what was said before is not news
    this.#draw();
    if (id === null) return;
    this.#queue(() => this.#chats.openId === id && this.#chats.open(id));
    if (matchMedia("(pointer: fine)").matches && this.#root.matches(":focus-within")) this.#find("textarea").focus();
  }

  #start({ submitter, target }) {
    const name = target.elements.name.value.trim();
    this.#queue(async () => {
      const id = await (submitter.value === "room" ? this.#chats.inRoom(name) : this.#chats.withPerson(name));
      target.reset();
      this.#show(id);
    });
  }

  async #earlier() {
    const log = this.#find(".log");
    const fromEnd = log.scrollHeight - log.scrollTop;
    await this.#chats.earlier();
    log.scrollTop = log.scrollHeight - fromEnd;
  }

  #send(field) {
    const [chat, text, id] = [this.#chats.openId, field.value.trim(), this.#api.newId()];
    if (!text || chat === null) return;
    field.value = "";
    this.#pending.set(id, { chat, text, offset: Infinity });
    this.#drawPending();
    this.#scroll(true);
    this.#sending = this.#sending.then(async () => {
      try {
        const { offset } = await this.#api.call("POST", `/v1/chats/${chat}/messages`, { id, text });
        if (this.#pending.has(id)) this.#pending.get(id).offset = offset;
      } catch (error) {
        this.#pending.delete(id);
        field.value ||= text;
        this.#fail(error);
      }
      this.#drawPending();
    });
  }

  /** Somebody removed us while our message was on its way. */
  #overtaken(message) {
    this.#pending.delete(message);
    this.#drawPending();
    this.#fail(new Error("A message was not delivered: you are not in that chat any more."));
  }

  /** Move the read marker, when what is there is being looked at, and still is a moment later. */
  #attend() {
    if (this.#viewing || !this.#unreadInView()) return;
    this.#viewing = setTimeout(() => {
      this.#viewing = 0;
      const chat = this.#unreadInView();
      if (chat) this.#chats.view(chat).catch((error) => this.#fail(error));
    }, SOON_MS);
  }

  #unreadInView() {
    const chat = this.#chats.opened;
    const looking = document.hasFocus() && (this.#alone || this.#root.matches(":focus-within"));
    return looking && chat?.messages && chat.unread && this.#atEnd() ? chat : null;
  }

  // ── drawing ──

  #changed(what) {
    if (what === "messages" && this.#chats.opened?.messages) this.#drawMessages(this.#chats.opened);
    if (what === "names") this.#drawNames();
    if (this.#drawing) return;
    this.#drawing = true;
    queueMicrotask(() => this.#draw());
  }

  #draw() {
    this.#drawing = false;
    const list = this.#chats.list();
    const roomy = getComputedStyle(this.#find(".back")).display === "none";
    if (this.#chats.openId === null && roomy && list.length) return this.#show(list[0].id);
    const chat = this.#chats.opened;
    if (!chat) this.#find(".messages").replaceChildren();
    this.#root.classList.toggle("talking", Boolean(chat));
    this.#drawList(list);
    this.#find(".talk h3").textContent = chat ? this.#chats.title(chat) : "No chat yet";
    const many = chat && chat.kind !== "dm";
    this.#find(".talk small").textContent = many ? `${chat.members_count} in this ${chat.kind}` : "";
    this.#find(".send button").disabled = this.#find("textarea").disabled = !chat;
    this.#find(".seen").textContent = chat ? this.#seen(chat) : "";
    const unread = list.reduce((sum, each) => sum + each.unread, 0);
    if (this.#alone) document.title = unread ? `(${unread}) Petit Chat` : "Petit Chat";
    this.#drawPending();
    this.#attend();
  }

  /** Keep the rows that are there, so that a click or the focus on one is not lost when something happens meanwhile. */
  #drawList(list) {
    const holder = this.#find(".chats ul");
    const rows = list.map((chat) => this.#entry(chat));
    if (rows.length === holder.children.length && rows.every((row, at) => row === holder.children[at])) return;
    const focused = holder.contains(document.activeElement) ? document.activeElement : null;
    holder.replaceChildren(...rows);
    focused?.focus({ preventScroll: true });
  }

  #entry(chat) {
    if (!this.#entries.has(chat.id)) this.#entries.set(chat.id, chatRow(() => this.#show(chat.id)));
    const row = this.#entries.get(chat.id);
    fillChatRow(row, { chat, title: this.#chats.title(chat), open: chat.id === this.#chats.openId });
    return row;
  }

  #drawNames() {
    for (const who of this.#root.querySelectorAll("[data-user]")) who.textContent = this.#chats.name(who.dataset.user);
  }

  /** Make the rows what the chat holds: it grows at both ends, and shrinks at the beginning. */
  #drawMessages(chat) {
    const rows = this.#find(".messages");
    const follow = this.#atEnd() || !rows.children.length;
    const from = chat.messages[0]?.seq ?? Infinity;
    while (rows.firstChild && Number(rows.firstChild.dataset.seq) < from) rows.firstChild.remove();
    const first = Number(rows.firstChild?.dataset.seq ?? Infinity);
    const last = Number(rows.lastChild?.dataset.seq ?? Infinity);
    rows.prepend(...chat.messages.filter(({ seq }) => seq < first).map((message) => this.#row(message)));
    rows.append(...chat.messages.filter(({ seq }) => seq > last).map((message) => this.#row(message)));
    this.#find(".earlier").hidden = !(from > (chat.firstSeq || Infinity));
    this.#drawPending();
    this.#scroll(follow);
    queueMicrotask(() => (this.#find(".log").ariaBusy = "false"));
  }

  #row(message) {
    return messageRow(message, { mine: message.by === this.#api.me.id, author: this.#chats.name(message.by) });
  }

  /** What was composed here and has not come back by the stream, below what has. */
  #drawPending() {
    const { messages } = this.#chats.opened ?? {};
    const last = messages?.at(-1)?.offset ?? 0;
    const ids = new Set(messages?.map((message) => message.id));
    for (const [id, { chat, offset }] of this.#pending) {
      if (chat === this.#chats.openId && (ids.has(id) || offset <= last)) this.#pending.delete(id);
    }
    const waiting = [...this.#pending].filter(([, { chat }]) => chat === this.#chats.openId);
    this.#find(".pending").replaceChildren(...waiting.map(([id, { text }]) => pendingRow(id, text)));
  }

  /** Who has read the last message, where that is mine. */
  #seen(chat) {
    const last = chat.messages?.at(-1);
    if (last?.by !== this.#api.me.id) return "";
    const names = [...chat.seen].filter(([, seq]) => seq >= last.seq).map(([user]) => this.#chats.name(user));
    if (!names.length) return "";
    return names.length > 3 ? `Seen by ${names.length}` : `Seen by ${names.join(", ")}`;
  }

  #atEnd() {
    const log = this.#find(".log");
    return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  }

  #scroll(follow) {
    const log = this.#find(".log");
    if (follow) log.scrollTop = log.scrollHeight;
  }
}
