// What can be done with an experiment.
import { actions } from "../../parts/action.js";
import { confirmed, describing, renaming, tagging } from "../../parts/forms.js";

const permission = "run.write";

export function experimentActs(experiment) {
  const path = `/api/v1/experiments/by-id/${encodeURIComponent(experiment.id)}`;
  if (experiment.deleted_at) return actions("Change this experiment", confirmed("Restore experiment", { permission, because: `${experiment.name} takes runs again.`, save: async (call) => { await call(`${path}/restore`); return "The experiment is restored."; } }));
  return actions("Change this experiment",
    renaming("Rename experiment", { permission, now: experiment.name, save: async (call, name) => { await call(path, { name }); return `The experiment is called ${name}.`; } }),
    describing("Edit description", { permission, now: experiment.description, save: async (call, description) => { await call(path, { description }); return "The description is changed."; } }),
    tagging("Edit tags", { permission, tags: experiment.tags, save: async (call, tags, removed) => { await call(`${path}/tags`, { tags, removed }); return "The tags are changed."; } }),
    confirmed("Delete experiment", { permission, because: `${experiment.name} is hidden with its runs and keeps its name. It can be restored.`, save: async (call) => { await call(`${path}/delete`); return "The experiment is deleted."; } }));
}
