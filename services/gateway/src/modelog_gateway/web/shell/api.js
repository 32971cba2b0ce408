// Questions to the REST interface, each as of the moment that the page shows.
import { session } from "./session.js";

// `asOf` is a position or a time, and empty while the page is live; `told` is the last event that a live page knows of.
export const moment = { asOf: "", told: 0 };
let asking = new AbortController();

// Another moment is to be shown: what was asked for the one before is given up.
export function lookAt(asOf) {
  moment.asOf = asOf;
  asking.abort();
  asking = new AbortController();
}

// The live page knows of this event: what it asks for from now on has to cover it, however far the tables are behind.
export const knows = (position) => { moment.told = Math.max(moment.told, Number(position)); };

const reading = () => moment.asOf ? { as_of: moment.asOf } : moment.told ? { at_least: String(moment.told) } : {};

export const wasGivenUp = (error) => error.name === "AbortError";

export async function ask(path, { signal = asking.signal, ...options } = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, signal, headers: { ...options.headers, Authorization: `Bearer ${session.token}` } });
  } catch (error) {
    if (wasGivenUp(error)) throw error;
    throw new Error("The platform does not answer. See `modelog status`, then load this page again.");
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail ?? `${answer.status} ${answer.statusText}`), { status: answer.status });
}

// GET now, whatever the page shows: what has no past.
export const getNow = async (path) => (await ask(path)).json();

// GET as of the moment. `fields` become the query; a list gives a field for each of its items. `read` is what the answer has to cover.
export function get(path, fields = {}, read = reading()) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...fields, ...read })) {
    for (const item of [value].flat()) if (item !== "" && item !== undefined) query.append(name, item);
  }
  return getNow(query.size ? `${path}?${query}` : path);
}

// A search, which is a POST that changes nothing, as of the moment.
export async function search(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify({ ...body, read: reading() }) })).json();
}

// Something is to change. It is not given up when another moment is shown, and is never asked for from the past.
export async function post(path, body) {
  if (moment.asOf) throw new Error("This is the past, where nothing can be changed. Go back to now.");
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(body), signal: null })).json();
}

// Several questions at once: what was answered, and what was not as `undefined` with its error.
export async function together(...questions) {
  const settled = await Promise.allSettled(questions);
  const givenUp = settled.find((one) => one.status === "rejected" && wasGivenUp(one.reason));
  if (givenUp) throw givenUp.reason;
  return settled.map((one) => one.status === "fulfilled" ? { value: one.value } : { error: one.reason });
}
