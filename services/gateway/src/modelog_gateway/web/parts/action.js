// What somebody can do here: a button that opens a form in a dialog, where a refusal is said in the platform's words.
import { moment, post } from "../shell/api.js";
import { may } from "../shell/session.js";
import { h, newId } from "./dom.js";
import { nameOf } from "./steady.js";

let showAgain = async () => {};

// What shows the page anew when something was done.
export const afterActions = (show) => { showAgain = show; };

// What was done is told on the page that it leads to.
const key = "told";
function goOn({ words, at }) {
  sessionStorage.setItem(key, words);
  location.assign(at);
}
export function tellBefore() {
  const words = sessionStorage.getItem(key);
  sessionStorage.removeItem(key);
  if (words) document.getElementById("told").textContent = words;
}

// Nothing can be done in the past, nor by who may only look.
export const mayHere = (permission) => !moment.asOf && may(permission);

// A button, or null for who may not. `of` says what it is about, where several are alike; `final` warns of what cannot be
// taken back. `form()` gives { parts, send }: the fields, and what sends them by `call(path, body)` and answers in words, or with { words, at }.
export function action(label, { permission, of = "", final, form }) {
  if (!mayHere(permission)) return null;
  const button = h("button", { type: "button", "aria-haspopup": "dialog", "aria-label": of ? `${label} ${of}` : null, onclick: () => open(label, of, final, form(), button) }, label);
  return button;
}

// Several of them; nothing when none is offered.
export function actions(label, ...buttons) {
  const offered = buttons.flat().filter(Boolean);
  return offered.length > 0 && h("div", { class: "toolbar acts", role: "group", "aria-label": label }, offered);
}

function open(label, of, final, { parts, send }, opener) {
  const heading = h("h2", { id: newId("dialog") }, [label, of].filter(Boolean).join(" "));
  const refusal = h("p", { class: "wrong", role: "alert" });
  const call = calls();
  let busy = false;

  async function sent(event) {
    event.preventDefault();
    if (busy) return;
    busy = true;
    refusal.textContent = "";
    try {
      const done = await send(call);
      // What the page was about is called otherwise, or gone: the answer says where to go on.
      if (typeof done === "object") return goOn(done);
      // First the page: who goes on at once must not begin with what it showed before.
      await showAgain();
      dialog.close();
      document.getElementById("told").textContent = done;
      backTo(opener);
    } catch (error) {
      refusal.textContent = error.message;
    } finally {
      busy = false;
    }
  }

  const dialog = h("dialog", { "aria-labelledby": heading.id, onclose: () => { dialog.remove(); backTo(opener); } },
    h("form", { onsubmit: sent }, heading, final && h("p", { class: "final" }, final), parts, refusal,
      h("div", { class: "toolbar" }, h("button", { class: "does" }, label), h("button", { type: "button", onclick: () => dialog.close() }, "Cancel"))));
  document.getElementById("told").textContent = "";
  document.body.append(dialog);
  dialog.showModal();
}

// The same thing sent again, because no answer came, is done once.
function calls() {
  const ids = new Map();
  return (path, body = {}) => {
    const what = `${path} ${JSON.stringify(body)}`;
    if (!ids.has(what)) ids.set(what, [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
    return post(path, { ...body, request_id: ids.get(what) });
  };
}

// The page may have been drawn anew meanwhile: the button that is there now, else the page.
function backTo(opener) {
  const active = document.activeElement;
  if (active && active !== document.body) return;
  const main = document.getElementById("main");
  const there = opener.isConnected ? opener : [...main.querySelectorAll("button")].find((button) => nameOf(button) === nameOf(opener));
  (there ?? main).focus({ preventScroll: true });
}
