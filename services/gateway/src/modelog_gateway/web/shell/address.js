// Addresses of pages: they can be read, shared, and carry the moment that is shown.
import { moment } from "./api.js";

const part = encodeURIComponent;

function at(path, fields = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...fields, as_of: moment.asOf })) {
    for (const item of [value].flat()) if (item !== "" && item !== undefined) query.append(name, item);
  }
  return query.size ? `${path}?${query}` : path;
}

export const to = {
  overview: () => at("/"),
  models: (fields) => at("/models", fields),
  model: (name, version) => at(`/models/${part(name)}`, { version }),
  experiments: (fields) => at("/experiments", fields),
  experiment: (id, fields) => at(`/experiments/${part(id)}`, fields),
  run: (id) => at(`/runs/${part(id)}`),
  diff: (a, b) => at("/diff", { a, b }),
  compareRuns: (runs) => at("/compare", { run: runs }),
  compareVersions: (versions) => at("/compare", { version: versions }),
  compare: () => at("/compare"),
  datasets: () => at("/datasets"),
  workspaces: () => at("/workspaces"),
  dataset: (name, version) => at(`/datasets/${part(name)}`, { version }),
  deployment: (name) => at(`/deployments/${part(name)}`),
  retraining: (id) => at(`/retrainings/${part(id)}`),
  abTest: (name) => at(`/ab-tests/${part(name)}`),
};

// What the address asks for besides the moment.
export const asked = () => new URLSearchParams(location.search);

// Change the address of this page: a field that is empty is left out, a list is given item by item.
export function put(fields, { replace = false } = {}) {
  const query = asked();
  for (const [name, value] of Object.entries(fields)) {
    query.delete(name);
    for (const item of [value].flat()) if (item !== "" && item !== undefined && item !== null) query.append(name, item);
  }
  history[replace ? "replaceState" : "pushState"](null, "", query.size ? `${location.pathname}?${query}` : location.pathname);
}

// Where MLflow's clients say that a run or an experiment can be seen: "#/experiments/ID/runs/ID".
export function fromMlflow(hash) {
  const found = hash.match(/^#\/experiments\/([^/?]+)(?:\/runs\/([^/?]+))?/);
  if (!found) return null;
  return found[2] ? `/runs/${found[2]}` : `/experiments/${found[1]}`;
}
