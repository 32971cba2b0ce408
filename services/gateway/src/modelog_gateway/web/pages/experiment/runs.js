// The table of runs, of which some can be chosen to be compared.
import { h } from "../../parts/dom.js";
import { runName } from "../../parts/format.js";
import { table } from "../../parts/table.js";
import { asked, to } from "../../shell/address.js";
import { canSort, cell, isNumber, label, nameCell } from "./columns.js";

const mostCompared = 20;

export class Runs {
  constructor({ sort }) {
    this.sort = sort;
    this.picked = new Set();
    this.compare = h("button", { type: "button", onclick: () => location.assign(to.compareRuns([...this.picked])) }, "Compare");
    this.diff = h("button", { type: "button", onclick: () => location.assign(to.diff(...this.picked)) }, "Difference of two");
    this.words = h("span", { class: "quiet", role: "status" });
    this.bar = h("div", { class: "toolbar" }, this.compare, this.diff, this.words);
  }

  show(runs, columns, name) {
    const query = asked(), order = query.get("order"), way = query.get("descending") === "1" ? "descending" : "ascending";
    const head = (column) => ({
      head: label(column), number: isNumber(column), sorted: column === order ? way : undefined, sort: canSort(column) ? () => this.sort(column) : undefined,
    });
    const here = runs.map((run) => run.id);
    for (const id of this.picked) if (!here.includes(id)) this.picked.delete(id);
    this.chosen();
    return [
      table(`Runs of ${name}`, [{ head: h("span", { class: "unseen" }, "Chosen") }, { ...head("run_name"), head: "Run", row: true }, ...columns.map(head)],
        runs.map((run) => [this.box(run), nameCell(run), ...columns.map((column) => cell(run, column))])),
      this.bar,
    ];
  }

  box(run) {
    return h("input", { type: "checkbox", checked: this.picked.has(run.id), "aria-label": `Choose ${runName(run)}`, onchange: ({ target }) => {
      target.checked ? this.picked.add(run.id) : this.picked.delete(run.id);
      this.chosen();
    } });
  }

  chosen() {
    const many = this.picked.size;
    this.compare.disabled = many < 2 || many > mostCompared;
    this.diff.disabled = many !== 2;
    this.words.textContent = many > mostCompared ? `${many} chosen; at most ${mostCompared} can be compared.` : many ? `${many} chosen.` : "Choose runs to compare them.";
  }
}
