// What a thing came from, and what came of it, as the graph has it: two trees of links.
import { h, link, quiet, replace, said } from "../../parts/dom.js";
import { words } from "../../parts/format.js";
import { get, moment, wasGivenUp } from "../../shell/api.js";
import { to } from "../../shell/address.js";

const depth = 6;

export function lineage(node) {
  const place = h("div", { class: "columns" }, quiet("Looking …"));
  // As far as the graph is: it follows the topics, and may be away.
  const read = { as_of: moment.asOf };
  Promise.all(["UPSTREAM", "DOWNSTREAM"].map((way) => get("/api/v1/lineage", { node, direction: `DIRECTION_${way}`, depth }, read)))
    .then(([up, down]) => replace(place, tree("It came from", node, up, "from", "to"), tree("What came of it", node, down, "to", "from")))
    .catch((error) => { if (!wasGivenUp(error)) replace(place, quiet(`The graph does not tell: ${error.message}`)); });
  return place;
}

function tree(title, root, { nodes, edges }, near, far) {
  const known = new Map(nodes.map((n) => [n.id, n]));
  const told = new Set([root]);
  function below(id) {
    const next = edges.filter((e) => e[near] === id && !told.has(e[far]) && known.has(e[far]));
    next.forEach((e) => told.add(e[far]));
    return next.length ? h("ul", { class: "tree" }, next.map((e) => h("li", {}, h("span", { class: "quiet" }, `${words(e.kind, "")} `), named(known.get(e[far])), below(e[far])))) : null;
  }
  return h("div", {}, h("h3", {}, title), below(root) ?? quiet("Nothing that is known."));
}

// A node of the graph with the page it has.
export function named(node) {
  const key = node.id.slice(node.id.indexOf(":") + 1), slash = key.lastIndexOf("/");
  const [name, version] = [key.slice(0, slash), key.slice(slash + 1)];
  const href = {
    Run: () => to.run(key), Experiment: () => to.experiments({ text: key }), Model: () => to.model(key), ModelVersion: () => to.model(name, version),
    Dataset: () => to.dataset(key), DatasetVersion: () => to.dataset(name, version), Deployment: () => to.deployment(key),
  }[node.kind]?.();
  const shown = said(node.name || key);
  return [href ? link(href, shown) : shown, h("span", { class: "quiet" }, ` ${node.kind.replaceAll(/(?<!^)([A-Z])/g, " $1").toLowerCase()}`)];
}
