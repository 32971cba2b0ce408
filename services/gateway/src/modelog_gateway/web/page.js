// The live page: asks the REST interface for what is, and listens to the event stream for what changes it.
const $ = (id) => document.getElementById(id);
const words = (text, prefix) => text.replace(prefix, "").toLowerCase().replaceAll("_", " ");
const shown = 200;

let token = new URLSearchParams(location.hash.slice(1)).get("token") ?? sessionStorage.getItem("token");
if (location.hash.includes("token=")) history.replaceState(null, "", location.pathname);

async function get(path) {
  const answer = await fetch(path, { headers: { Authorization: `Bearer ${token}` } });
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
  const { services: found } = await get("/api/v1/services");
  rows($("services"), found.map(({ service, health, status }) => [
    service, badge(health, health === "serving" ? "serving" : "bad"),
    { number: status ? duration(status.uptime_s) : "" },
    { number: status ? `${(status.memory_bytes / 1048576).toFixed(0)} MB` : "" },
    { number: status?.projections?.length ? Math.min(...status.projections.map((p) => p.position)) : "" },
  ]), "No service is known.");
}

async function models() {
  const { models: found } = await get("/api/v1/models");
  rows($("models"), found.flatMap((m) => m.versions.map((v) => {
    const auc = Object.entries(v.metrics).find(([name]) => name.toLowerCase().includes("auc"));
    const approved = v.reviews.filter((r) => r.decision === "REVIEW_DECISION_APPROVED").map((r) => r.reviewer);
    return [`${m.name} ${v.version}`, badge(words(v.stage, "STAGE_")), v.author, approved.join(", "),
      { number: auc ? auc[1].toFixed(3) : "" }];
  })), "No version is registered yet.");
}

async function traffic() {
  const { deployments } = await get("/api/v1/deployments");
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
  const { retrainings } = await get("/api/v1/retrainings");
  rows($("challengers"), retrainings.map((r) => {
    const c = r.canary ?? r.evaluation;
    const gain = c && c.rows !== "0" ? `${c.auc_difference.toFixed(3)} (${c.auc_low.toFixed(3)} to ${c.auc_high.toFixed(3)})` : "";
    const state = words(r.state, "RETRAINING_STATE_");
    return [r.challenger || "in training", badge(state), r.champion, { number: gain }, r.reason || c?.reason || ""];
  }), "No challenger was trained yet.");
}

let plot;
async function quality() {
  const { monitors } = await get("/api/v1/monitors");
  const { points } = monitors.length ? await get(`/api/v1/monitors/${monitors[0].name}/series/auc`) : { points: [] };
  $("quality").hidden = !points.length;
  $("no-quality").hidden = points.length > 0;
  if (!points.length) return;
  const lines = Map.groupBy ? Map.groupBy(points, (p) => p.line) : group(points);
  const ink = getComputedStyle(document.body).color;
  plot ??= echarts.init($("quality"));
  plot.setOption({
    animation: false, textStyle: { color: ink }, grid: { left: 50, right: 20, top: 40, bottom: 30 },
    tooltip: { trigger: "axis", valueFormatter: (v) => v?.toFixed(3) }, legend: { textStyle: { color: ink } },
    xAxis: { type: "time" }, yAxis: { type: "value", scale: true, name: "AUC", axisLabel: { formatter: (v) => v.toFixed(2) } },
    series: [...lines].map(([line, found]) => ({
      name: line || "served", type: "line", symbolSize: 8, data: found.map((p) => [p.at, p.value]),
    })),
  });
}
const group = (points) => points.reduce((lines, p) => lines.set(p.line, [...(lines.get(p.line) ?? []), p]), new Map());
addEventListener("resize", () => plot?.resize());

function show(event) {
  const line = document.createElement("li");
  const time = new Date(event.recorded_at).toLocaleTimeString();
  const payload = event.payload ?? {};
  const about = ["name", "model", "version", "to_stage", "deployment", "monitor", "label", "status", "reason", "text"]
    .filter((k) => payload[k]).map((k) => payload[k]).join(" · ");
  for (const text of [event.position, time, event.type, `${event.actor}  ${about}`]) {
    const part = document.createElement("span");
    part.textContent = text;
    line.append(part);
  }
  $("events").prepend(line);
  while ($("events").children.length > shown) $("events").lastChild.remove();
  $("head").textContent = `position ${event.position}`;
}

const trouble = (text) => { $("trouble").hidden = !text; $("trouble").textContent = text ?? ""; };
const parts = { gateway: [], registry: [models], serving: [traffic], training: [], monitoring: [challengers, quality], lineage: [] };
const waiting = new Set();

// Many events may come at once: ask again at most every half second, and only for what they change.
function changed(event) {
  for (const refresh of parts[event.type.split(".")[0]] ?? []) {
    if (waiting.has(refresh)) continue;
    waiting.add(refresh);
    setTimeout(() => { waiting.delete(refresh); refresh().catch((e) => trouble(e.message)); }, 500);
  }
}

async function listen(after) {
  for (;;) {
    try {
      const answer = await fetch(`/api/v1/events/stream?after=${after}`, { headers: { Authorization: `Bearer ${token}` } });
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
          }
        }
      }
    } catch (error) {
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
  trouble();
  const all = [services, models, traffic, challengers, quality];
  const failed = (await Promise.allSettled(all.map((f) => f()))).filter((r) => r.status === "rejected");
  if (failed.length) trouble(failed.map((f) => f.reason.message).join("; "));
  setInterval(() => services().catch((e) => trouble(e.message)), 5000);
  const { head } = await get("/api/v1/events?limit=1").catch(() => ({ head: 0 }));
  listen(Math.max(0, Number(head) - 100));
}

$("login").addEventListener("submit", (event) => { event.preventDefault(); token = $("token").value.trim(); open(); });
open();
