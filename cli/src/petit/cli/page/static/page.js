/** Puts one pane on the page for `/?as=NAME`, and two without. */

import { comeBack } from "./login.js";
import { Pane } from "./pane.js";

const back = comeBack();
const only = new URLSearchParams(location.search).get("as");

function mount(name, old) {
  const root = document.querySelector("template").content.firstElementChild.cloneNode(true);
  if (old) old.replaceWith(root);
  else document.querySelector("main").append(root);
  new Pane(root, { name, alone: only !== null, onLeave: () => mount(name, root) }).start(back?.pane === name && !old ? back : null);
}

for (const link of document.querySelectorAll("nav a")) {
  if (link.search === location.search) link.setAttribute("aria-current", "page");
}
for (const name of only === null ? ["ada", "bob"] : [only]) mount(name);
