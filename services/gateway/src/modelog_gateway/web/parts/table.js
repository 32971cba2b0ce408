// Tables: read by row and column, sorted by their heads, and scrolled in a frame of their own where they are too wide.
import { h, parts, quiet } from "./dom.js";

const wide = new ResizeObserver((frames) => {
  for (const { target } of frames) scrollable(target);
});

// Who has no mouse can scroll what is larger than its frame.
function scrollable(frame) {
  if (!frame.isConnected) return;
  const over = frame.scrollWidth > frame.clientWidth + 1 || frame.scrollHeight > frame.clientHeight + 1;
  if (over) frame.tabIndex = 0;
  else frame.removeAttribute("tabindex");
}

export function framed(label, content, attributes = {}) {
  const frame = h("div", { class: "scroll", role: "group", "aria-label": label, ...attributes }, content);
  wide.observe(frame);
  wide.observe(content);
  return frame;
}

// columns: [{ head, number?, prose?, sorted?, sort?, row? }]; `sorted` is "ascending" or "descending", `sort` is called to
// sort by it, `row` marks the column that names the row, `prose` one that needs width. rows: lists of texts and elements; `empty` says why there are none.
export function table(label, columns, rows, empty) {
  if (!rows.length && empty !== undefined) return quiet(empty);
  const head = columns.map((column) => h("th", { scope: "col", class: column.number ? "n" : "", "aria-sort": column.sorted ?? null },
    column.sort ? h("button", { class: "sort", type: "button", onclick: column.sort }, column.head) : column.head));
  const body = rows.map((row) => h("tr", {}, row.map((cell, n) => {
    const { number, prose, row: names } = columns[n];
    return h(names ? "th" : "td", { class: number ? "n" : prose ? "prose" : "", scope: names ? "row" : null }, parts([cell]));
  })));
  return framed(label, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

// Two columns: names and values.
export const pairs = (label, heads, rows, empty) => table(label, [{ head: heads[0], row: true }, { head: heads[1] }], rows, empty);
