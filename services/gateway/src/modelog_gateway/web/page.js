// The page: asks the REST interface for what is, or was, and listens to the event stream for what changes it.
import { TimeControl } from "./time.js";

const $ = (id) => document.getElementById(id);
const words = (text, prefix) => text.replace(prefix, "").toLowerCase().replaceAll("_", " ");
const shown = 200;

let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? sessionStorage.getItem("token");
if (location.hash.includes("token=")) history.replaceState(null, "", location.pathname + location.search);

let asOf = "";  // a position or a time; empty while the page is live
let asking = new AbortController();  // given up when another moment is to be shown
const then = (path) => asOf ? `${path}${path.includes("?") ? "&" : "?"}as_of=${encodeURIComponent(asOf)}` : path;

async function get(path) {
  const answer = await fetch(path, { headers: { Authorization: `Bearer ${token}` }, signal: asking.signal });
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({ detail: answer.statusText }));
  throw Object.assign(new Error(problem.detail), { status: answer.status });
}

function rows(body, cells, empty) {
  if (!cells.length) {
    const place = document.createElement("tr").insertCell();
    place.colSpan = 9;
    place.className = "quiet";
    place.textContent = empty;
    body.replaceChildren(place.parentElement);
    return;
  }
  body.replaceChildren(...cells.map((row) => {
    const line = document.createElement("tr");
    for (const cell of row) {
      const place = line.insertCell();
      if (cell instanceof Node) place.append(cell);
      else if (cell?.number !== undefined) { place.className = "n"; place.textContent = cell.number; }
      else place.textContent = cell ?? "";
    }
    return line;
  }));
}

function badge(text, kind) {
  const mark = document.createElement("span");
  mark.className = `stage ${(kind ?? text).split(" ")[0]}`;
  mark.textContent = text;
  return mark;
}

const duration = (s) => s < 90 ? `${s.toFixed(0)} s` : s < 5400 ? `${(s / 60).toFixed(0)} min` : `${(s / 3600).toFixed(1)} h`;

async function services() {
  $("no-services").hidden = !asOf;
  $("services").closest(".scroll").hidden = Boolean(asOf);
  if (asOf) return;
  const { services: found } = await get("/api/v1/services");
  rows($("services"), found.map(({ service, health, status }) => [
    service, badge(health, health === "serving" ? "serving" : "bad"),
    { number: status ? duration(status.uptime_s) : "" },
    { number: status ? `${(status.memory_bytes / 1048576).toFixed(0)} MB` : "" },
    { number: status?.projections?.length ? Math.min(...status.projections.map((p) => p.position)) : "" },
  ]), "No service is known.");
}

async function models() {
  const { models: found } = await get(then("/api/v1/models"));
  rows($("models"), found.flatMap((m) => m.versions.map((v) => {
    const auc = Object.entries(v.metrics).find(([name]) => name.toLowerCase().includes("auc"));
    const approved = v.reviews.filter((r) => r.decision === "REVIEW_DECISION_APPROVED").map((r) => r.reviewer);
    return [`${m.name} ${v.version}`, badge(words(v.stage, "STAGE_")), v.author, approved.join(", "),
      { number: auc ? auc[1].toFixed(3) : "" }];
  })), "No version is registered yet.");
}

async function traffic() {
  const { deployments } = await get(then("/api/v1/deployments"));
  $("no-traffic").hidden = deployments.length > 0;
  $("traffic").replaceChildren(...deployments.flatMap((d) => {
    const title = document.createElement("div");
    title.textContent = `${d.name}: ${d.model}, ${words(d.environment, "DEPLOYMENT_ENVIRONMENT_")}, ${words(d.status, "DEPLOYMENT_STATUS_")}`;
    const split = document.createElement("div");
    split.className = "split";
    split.ariaHidden = "true";
    const shares = document.createElement("div");
    shares.className = "shares";
    for (const v of d.variants.filter((v) => v.percent > 0)) {
      const part = document.createElement("span");
      part.style.flexBasis = `${v.percent}%`;
      const label = document.createElement("span");
      label.textContent = `${v.version}: ${v.percent.toFixed(0)} %`;
      split.append(part);
      shares.append(label);
    }
    return [title, split, shares];
  }));
}

async function challengers() {
  const { retrainings } = await get(then("/api/v1/retrainings"));
  rows($("challengers"), retrainings.map((r) => {
    const c = r.canary ?? r.evaluation;
    const gain = c && c.rows !== "0" ? `${c.auc_difference.toFixed(3)} (${c.auc_low.toFixed(3)} to ${c.auc_high.toFixed(3)})` : "";
    const state = words(r.state, "RETRAINING_STATE_");
    return [r.challenger || "in training", badge(state), r.champion, { number: gain }, r.reason || c?.reason || ""];
  }), "No challenger was trained yet.");
}

let plot;
async function quality() {
  const { monitors } = await get(then("/api/v1/monitors"));
  const { points } = monitors.length ? await get(then(`/api/v1/monitors/${monitors[0].name}/series/auc`)) : { points: [] };
  $("quality").hidden = !points.length;
  $("no-quality").hidden = points.length > 0;
  if (!points.length) return;
  const lines = Map.groupBy ? Map.groupBy(points, (p) => p.line) : group(points);
  const { color: ink, borderColor: line } = getComputedStyle($("quality").parentElement);
  plot ??= echarts.init($("quality"));
  plot.resize();
  plot.setOption({
    animation: false, textStyle: { color: ink }, grid: { left: 50, right: 20, top: 40, bottom: 30 },
    tooltip: { trigger: "axis", valueFormatter: (v) => v?.toFixed(3) }, legend: { textStyle: { color: ink } },
    xAxis: { type: "time", axisLabel: { hideOverlap: true } }, yAxis: { type: "value", scale: true, name: "AUC", axisLabel: { formatter: (v) => v.toFixed(2) }, splitLine: { lineStyle: { color: line } } },
    series: [...lines].map(([line, found]) => ({
      name: line || "served", type: "line", symbolSize: 8, data: found.map((p) => [p.at, p.value]),
    })),
  }, true);
}
const group = (points) => points.reduce((lines, p) => lines.set(p.line, [...(lines.get(p.line) ?? []), p]), new Map());
addEventListener("resize", () => plot?.resize());

const told = ["name", "model", "version", "stage", "to_stage", "deployment", "monitor", "label", "status", "reason", "text"];
const about = ({ payload }) => told.filter((k) => ["string", "number"].includes(typeof payload?.[k]) && payload[k] !== "")
  .map((k) => payload[k]).join(" · ");
// "alice: version promoted · flight-delay · 1.0.0 · production"
const sentence = (event) => {
  const happened = event.type.split(".").pop().replace(/(?<!^)([A-Z])/g, " $1").toLowerCase();
  return [`${event.actor}: ${happened}`, about(event)].filter(Boolean).join(" · ");
};

function show(event) {
  const line = document.createElement("li");
  const time = new Date(event.recorded_at).toLocaleTimeString();
  for (const text of [event.position, time, event.type, `${event.actor}  ${about(event)}`]) {
    const part = document.createElement("span");
    part.textContent = text;
    line.append(part);
  }
  $("events").prepend(line);
  while ($("events").children.length > shown) $("events").lastChild.remove();
}

async function pastEvents() {
  $("kind-of-events").textContent = asOf ? "up to this moment" : "as they happen";
  if (!asOf) return;
  const { events } = await get(then(`/api/v1/events?newest_first=true&limit=${shown}`));
  $("events").replaceChildren();
  events.reverse().forEach(show);
}

const trouble = (text) => { $("trouble").hidden = !text; $("trouble").textContent = text ?? ""; };
const report = (error) => { if (error.name !== "AbortError") trouble(error.message); };
const parts = { gateway: [], registry: [models], serving: [traffic], training: [], monitoring: [challengers, quality], lineage: [] };
const waiting = new Set();

// Many events may come at once: ask again at most every half second, and only for what they change.
function changed(event) {
  for (const refresh of parts[event.type.split(".")[0]] ?? []) {
    if (waiting.has(refresh)) continue;
    waiting.add(refresh);
    setTimeout(() => { waiting.delete(refresh); refresh().catch(report); }, 500);
  }
}

async function listen(after, { signal }) {
  while (!signal.aborted) {
    try {
      const answer = await fetch(`/api/v1/events/stream?after=${after}`, { headers: { Authorization: `Bearer ${token}` }, signal });
      if (!answer.ok) throw new Error((await answer.json()).detail);
      trouble();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; ;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const messages = text.split("\n\n");
        text = messages.pop();
        for (const message of messages) {
          const data = message.match(/^data: (.*)$/m);
          if (data && message.includes("event: event")) {
            const event = JSON.parse(data[1]);
            after = Number(event.position);
            show(event);
            changed(event);
            time.grown(event);
          }
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      trouble(`The event stream is away: ${error.message}. Trying again.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function open() {
  try {
    await get("/api/v1/me");
  } catch (error) {
    $("login").hidden = false;
    trouble(token ? error.message : "Give a token to look: `modelog token` prints one.");
    return;
  }
  sessionStorage.setItem("token", token);
  $("login").hidden = true;
  $("time").hidden = false;
  trouble();
  await time.open();
}

const all = [services, models, traffic, challengers, quality, pastEvents];
let live = new AbortController();
let turn = 0;

// Fill every panel as of a moment; without one, go on with what happens.
async function look(moment) {
  const mine = ++turn;
  asOf = moment;
  asking.abort();
  asking = new AbortController();
  live.abort();
  const failed = (await Promise.allSettled(all.map((f) => f()))).filter((r) => r.status === "rejected");
  if (mine !== turn) return;
  trouble([...new Set(failed.map((f) => f.reason.message))].join("; "));
  if (asOf) return;
  live = new AbortController();
  const { head } = await get("/api/v1/events?limit=1").catch(() => ({ head: 0 }));
  if (mine !== turn) return;
  $("events").replaceChildren();
  listen(Math.max(0, Number(head) - 100), live);
}

const time = new TimeControl({ get, words: sentence, show: look, fail: report });
setInterval(() => { if (!asOf && !$("time").hidden) services().catch(report); }, 5000);
$("login").addEventListener("submit", (event) => { event.preventDefault(); token = $("token").value.trim(); open(); });
open();
