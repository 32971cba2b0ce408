// The frame of every page: who looks, which moment is shown, and what happens meanwhile. The page itself comes by its address.
import { getNow, knows, lookAt, moment, wasGivenUp } from "./shell/api.js";
import { fromMlflow, to } from "./shell/address.js";
import { follow, pause, sentence } from "./shell/events.js";
import { remember, session } from "./shell/session.js";
import { TimeControl } from "./shell/time.js";
import { afterActions, tellBefore } from "./parts/action.js";
import { h, replace } from "./parts/dom.js";
import { redraw } from "./parts/plot.js";

const $ = (id) => document.getElementById(id);

// Address -> the folder of its page. What stands in braces is given to the page by its name.
const pages = [
  [/^\/$/, "overview"],
  [/^\/models\/?$/, "models"],
  [/^\/models\/(?<name>[^/]+)$/, "model"],
  [/^\/compare$/, "compare"],
  [/^\/experiments\/?$/, "experiments"],
  [/^\/experiments\/(?<id>[^/]+)$/, "experiment"],
  [/^\/runs\/(?<id>[^/]+)$/, "run"],
  [/^\/diff$/, "diff"],
  [/^\/datasets\/?$/, "datasets"],
  [/^\/workspaces$/, "workspaces"],
  [/^\/datasets\/(?<name>[^/]+)$/, "dataset"],
  [/^\/deployments\/(?<name>[^/]+)$/, "deployment"],
  [/^\/retrainings\/(?<id>[^/]+)$/, "retraining"],
  [/^\/ab-tests\/(?<name>[^/]+)$/, "abtest"],
];
const within = { model: "models", experiment: "experiments", run: "experiments", diff: "experiments", dataset: "datasets" };

const mlflow = fromMlflow(location.hash);
if (mlflow) history.replaceState(null, "", mlflow);
const [found, folder] = pages.map(([form, name]) => [location.pathname.match(form), name]).find(([match]) => match);
const given = Object.fromEntries(Object.entries(found.groups ?? {}).map(([name, text]) => [name, decodeURIComponent(text)]));

const trouble = (text) => { $("trouble").hidden = !text; $("trouble").textContent = text ?? ""; };
const report = (error) => { if (!wasGivenUp(error)) failed(error); };

function failed(error) {
  if (error.status === 401) return askWho(session.token ? error.message : "");
  trouble(error.message);
}

function askWho(why) {
  $("login").hidden = false;
  trouble([why, "Give a token to look: `modelog token` prints one."].filter(Boolean).join(" "));
  $("token").focus();
}

function navigation() {
  const here = within[folder] ?? folder;
  const links = [["overview", "Overview", to.overview()], ["models", "Models", to.models()], ["experiments", "Experiments", to.experiments()],
    ["datasets", "Datasets", to.datasets()], ["workspaces", "Workspaces", to.workspaces()], ["compare", "Compare", to.compare()]];
  replace($("nav"), links.map(([name, label, href]) => h("a", { href, "aria-current": name === here ? "page" : null }, label)));
  document.querySelector(".brand").href = to.overview();
}

let page, time;
let gone = false;  // what this page is about is not there at the moment that is shown
let listening = new AbortController();
let turn = 0, opening = 0;
let reached = null;  // the last event that this page knows of; null until it was told how far the log is

async function begin() {
  const { build } = await import(`./pages/${folder}/page.js`);
  $("main").className = folder;
  page = build($("main"), { ...given, report });
}

function notHere(error) {
  gone = true;
  replace($("main"), h("h1", {}, "Not here"), h("section", { class: "wide", role: "alert" }, h("p", {}, error.message),
    h("p", {}, moment.asOf ? "It may have come later than the moment that is shown: go back to now. Or look among " : "Its name may be written differently. Look among ",
      h("a", { href: to.models() }, "models"), ", ", h("a", { href: to.experiments() }, "experiments"), " and ", h("a", { href: to.datasets() }, "datasets"), ".")));
}

function title(name) {
  const past = moment.asOf ? `Modelog as of ${moment.asOf}` : "Modelog";
  document.title = name ? `${name} · ${past}` : past;
}

// How far the log is; null when nobody tells.
const end = () => getNow("/api/v1/events?limit=1").then(({ head }) => Number(head), () => null);

// What happens is not known of until somebody tells how far the log is: then the page is shown once more.
async function wait(mine) {
  trouble("The event log is away: this page does not show what happens now. Trying again.");
  while (mine === turn && (document.hidden || await end() === null)) await pause();
  if (mine === turn) look();
}

// Show the page as of a moment; without one, go on with what happens.
async function look(asOf) {
  const mine = ++turn;
  listening.abort();
  lookAt(asOf);
  navigation();
  redraw();
  trouble();
  $("told").textContent = "";
  $("main").ariaBusy = "true";
  // First how far the log is: what happens while the page is asked for is told afterwards.
  const head = moment.asOf ? 0 : await end();
  if (mine !== turn) return;
  reached = null;
  knows(head ?? 0);
  try {
    if (gone) await begin();
    gone = false;
    title(await page.show());
  } catch (error) {
    if (mine === turn) error.status === 404 && found.groups ? notHere(error) : report(error);
    title(given.name ?? "");
  }
  if (mine !== turn) return;
  $("main").ariaBusy = "false";
  if (moment.asOf) return;
  if (head === null) return wait(mine);
  reached = Math.max(0, head - (page.before ?? 0));
  listen();
}

function listen() {
  listening.abort();
  if (moment.asOf || document.hidden || reached === null) return;
  listening = new AbortController();
  let away = false;
  follow(reached, listening.signal, {
    trouble(text) {
      if (text || away) trouble(text);  // not what somebody else has to say
      away = text !== "";
    },
    happened(event) {
      reached = Number(event.position);
      knows(reached);
      page.happened?.(event);
      time.grown(event);
    },
  });
}

async function open() {
  const mine = ++opening;
  try {
    const { permissions } = await getNow("/api/v1/me");
    if (mine !== opening) return;  // another token was given meanwhile
    session.permissions = permissions;
  } catch (error) {
    if (mine !== opening) return;
    if (error.status === 401) return askWho(session.token ? error.message : "");
    return trouble(error.message);
  }
  remember(session.token);
  $("login").hidden = true;
  $("time").hidden = false;
  trouble();
  if (page === undefined) await begin();
  await time.open();
  tellBefore();
}

afterActions(() => page.show().then(title).catch(report));
time = new TimeControl({ get: getNow, words: sentence, show: look, fail: report });
// Who does not look needs no connection: a browser has few of them for all its tabs.
document.addEventListener("visibilitychange", () => { if (page && !$("time").hidden) document.hidden ? listening.abort() : listen(); });
// Not by its address: going to a fragment would count as going to another moment.
document.querySelector(".skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
$("login").addEventListener("submit", (event) => { event.preventDefault(); session.token = $("token").value.trim(); open(); });
navigation();
open();
