// Stored files: list, size, digest, download, and a look at pictures and texts.
import { ask, wasGivenUp } from "../shell/api.js";
import { h, link, quiet, replace, said } from "./dom.js";
import { bytes } from "./format.js";
import { table } from "./table.js";

const pictures = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", svg: "image/svg+xml" };
const texts = /\.(txt|md|json|jsonl|ya?ml|csv|tsv|log|py|toml|cfg|ini|xml|html?|css|js|sql|sh|diff|patch|sig)$|(^|\/)(MLmodel|README|LICENSE|Dockerfile)$/i;
const mostPicture = 20 * 2 ** 20;
const mostText = 64 * 2 ** 10;
const ending = (path) => path.slice(path.lastIndexOf(".") + 1).toLowerCase();

export function files(artifacts, empty) {
  const look = h("div", { class: "preview", "aria-live": "polite" });
  const rows = [...artifacts].sort((a, b) => (a.path < b.path ? -1 : 1)).map((file) => [
    said(file.path), bytes(file.size_bytes), h("code", { title: file.digest }, file.digest.slice(0, 12)),
    h("span", { class: "actions" },
      h("button", { type: "button", "aria-label": `Download ${file.path}`, onclick: () => attempt(look, () => download(file)) }, "Download"),
      canBeSeen(file) && h("button", { type: "button", "aria-label": `Look at ${file.path}`, onclick: () => attempt(look, () => preview(file, look)) }, "Look")),
  ]);
  return [table("Files", [{ head: "Path", row: true }, { head: "Size", number: true }, { head: "SHA-256" }, { head: h("span", { class: "unseen" }, "Actions") }], rows, empty), look];
}

const canBeSeen = (file) => texts.test(file.path) || (ending(file.path) in pictures && Number(file.size_bytes) <= mostPicture);

async function attempt(look, what) {
  try {
    await what();
  } catch (error) {
    if (!wasGivenUp(error)) replace(look, quiet(`The file could not be read: ${error.message}`));
  }
}

const read = (file, signal) => ask(`/api/v1/artifacts/${file.digest}`, signal && { signal });

// The browser fetches it by itself and writes it down as it comes; see docs/decisions/0030-files-by-a-cookie.md.
async function download(file) {
  await ask(`/api/v1/artifacts/${file.digest}/link`, { method: "POST", signal: null });
  h("a", { href: `/api/v1/artifacts/${file.digest}`, download: file.path.split("/").pop() }).click();
}

async function preview(file, look) {
  const type = pictures[ending(file.path)];
  replace(look, quiet("Reading …"));
  const shown = type ? await picture(file, type) : await text(file);
  const close = h("button", { type: "button", onclick: () => replace(look) }, "Close");
  replace(look, h("div", { class: "heading" }, h("h4", {}, said(file.path)), close), shown);
}

// As an image a file cannot run anything, an SVG neither.
async function picture(file, type) {
  const url = URL.createObjectURL(new Blob([await (await read(file)).arrayBuffer()], { type }));
  return h("img", { src: url, alt: `The file ${file.path}`, onload: () => URL.revokeObjectURL(url) });
}

async function text(file) {
  const stop = new AbortController();
  const reader = (await read(file, stop.signal)).body.getReader();
  const chunks = [];
  let size = 0, ended = false;
  while (size < mostText) {
    const { value, done } = await reader.read();
    if (done) { ended = true; break; }
    chunks.push(value);
    size += value.length;
  }
  if (!ended) stop.abort();
  const whole = new TextDecoder().decode(await new Blob(chunks).slice(0, mostText).arrayBuffer());
  const cut = Number(file.size_bytes) > mostText;
  return [h("pre", { tabIndex: 0, "aria-label": `Text of ${file.path}` }, whole), cut && quiet(`The first ${bytes(mostText)} of ${bytes(file.size_bytes)}.`)];
}
