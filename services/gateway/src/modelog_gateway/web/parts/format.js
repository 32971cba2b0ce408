// Figures, times and names as people read them.

// A metric: at most 5 digits that count; NaN and infinities come as texts.
export function number(value) {
  if (value === null || value === undefined || value === "") return "";
  const figure = Number(value);
  if (!Number.isFinite(figure)) return Number.isNaN(figure) ? "NaN" : figure > 0 ? "∞" : "-∞";
  if (Number.isInteger(figure) && Math.abs(figure) < 1e12) return figure.toLocaleString("en");
  const size = Math.abs(figure);
  return size !== 0 && (size < 1e-4 || size >= 1e7) ? figure.toExponential(3) : String(Number(figure.toPrecision(5)));
}

export function bytes(count) {
  const size = Number(count);
  for (const [unit, of] of [["GB", 2 ** 30], ["MB", 2 ** 20], ["KB", 2 ** 10]]) {
    if (size >= of) return `${(size / of).toFixed(size >= 10 * of ? 0 : 1)} ${unit}`;
  }
  return `${size} B`;
}

export const duration = (s) => s < 1 ? `${(s * 1000).toFixed(0)} ms` : s < 90 ? `${s.toFixed(0)} s`
  : s < 5400 ? `${(s / 60).toFixed(0)} min` : s < 172800 ? `${(s / 3600).toFixed(1)} h` : `${(s / 86400).toFixed(1)} days`;

// "Nov 24, 2026, 10:03:12 AM", in the reader's own time zone.
export const local = (time) => time ? new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" }) : "";

// "RUN_STATUS_COMPLETED" -> "completed"
export const words = (text, prefix) => (text ?? "").replace(prefix, "").toLowerCase().replaceAll("_", " ");
export const stageOf = (stage) => words(stage, "STAGE_");
export const statusOf = (status) => words(status, "RUN_STATUS_");

// A parameter, or any value of JSON, as text.
export const plain = (value) => typeof value === "string" ? value : JSON.stringify(value);

export const short = (id) => id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id;

export const runName = (run) => run.name || short(run.id);

export function lasted(run) {
  const end = run.ended_at ?? (run.status === "RUN_STATUS_RUNNING" ? Date.now() : null);
  return run.started_at && end ? duration(Math.max(0, (new Date(end) - new Date(run.started_at)) / 1000)) : "";
}

export const count = (n, one, many = `${one}s`) => `${Number(n).toLocaleString("en")} ${Number(n) === 1 ? one : many}`;
