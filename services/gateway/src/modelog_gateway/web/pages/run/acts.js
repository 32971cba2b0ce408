// What can be done with a run.
import { actions } from "../../parts/action.js";
import { confirmed, describing, renaming, tagging } from "../../parts/forms.js";
import { runName } from "../../parts/format.js";

export const note = "mlflow.note.content";
const permission = "run.write";

export function runActs(run) {
  const path = `/api/v1/runs/${encodeURIComponent(run.id)}`;
  if (run.deleted_at) return actions("Change this run", confirmed("Restore run", { permission, because: `${runName(run)} takes points, tags and files again.`, save: async (call) => { await call(`${path}/restore`); return "The run is restored."; } }));
  const others = Object.fromEntries(Object.entries(run.tags).filter(([name]) => name !== note));
  return actions("Change this run",
    renaming("Rename run", { permission, now: run.name, save: async (call, name) => { await call(`${path}/update`, { name }); return "The run is renamed."; } }),
    describing("Edit notes", { permission, now: run.tags[note] ?? "", save: async (call, text) => { await call(`${path}/tags`, { tags: { [note]: text } }); return "The notes are changed."; } }),
    tagging("Edit tags", { permission, tags: others, save: (call, tags, removed) => tagged(call, path, tags, removed) }),
    confirmed("Delete run", { permission, because: `${runName(run)} is hidden and takes nothing more. It can be restored.`, save: async (call) => { await call(`${path}/delete`); return "The run is deleted."; } }));
}

async function tagged(call, path, tags, removed) {
  if (Object.keys(tags).length) await call(`${path}/tags`, { tags });
  for (const key of removed) await call(`${path}/tags/delete`, { key });
  return "The tags are changed.";
}
