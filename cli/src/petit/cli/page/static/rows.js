/** The rows of lists, made of values: nothing in here knows where they come from. */

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Make an element. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Give an element the initial and the colour of a person, or of a chat of several. */
export function fillFace(face, { id, name, many = false }) {
  face.textContent = many ? "#" : name.slice(0, 1).toUpperCase();
  face.style.setProperty("--hue", [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7));
}

export function chatRow(onClick) {
  const face = make("span", { class: "face", "aria-hidden": "true" });
  const unread = make("span", { class: "unread" });
  const button = make("button", { type: "button" }, face, make("b"), make("small"), unread);
  button.addEventListener("click", onClick);
  return make("li", {}, button);
}

export function fillChatRow(row, { chat, title, open }) {
  const [face, name, last, unread] = row.firstChild.children;
  name.textContent = title;
  fillFace(face, { id: chat.peer ?? chat.id, name: title, many: chat.kind !== "dm" });
  last.textContent = chat.last?.text ?? "Nothing said yet";
  unread.hidden = !chat.unread;
  unread.replaceChildren(chat.unread >= 100 ? "99+" : String(chat.unread), make("i", { class: "hidden" }, " unread"));
  row.firstChild.setAttribute("aria-current", open);
}

export function messageRow({ id, seq, offset, by, at, text, deleted }, { mine, author }) {
  const when = new Date(at);
  const time = make("time", { datetime: at, title: calendar.format(when) }, clock.format(when));
  const data = { class: mine ? "mine" : "theirs", "data-id": id, "data-seq": seq, "data-offset": offset };
  return make("li", data, make("b", { "data-user": by }, author), make("p", {}, deleted ? "deleted" : text), time);
}

export function pendingRow(id, text) {
  return make("li", { class: "mine", "data-id": id }, make("p", {}, text), make("time", {}, "Sending…"));
}
