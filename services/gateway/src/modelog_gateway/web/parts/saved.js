// A file that the reader keeps.
import { h } from "./dom.js";

const kept_ms = 60_000;

export function saved(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), kept_ms);
}
