// What somebody writes into the filter, as conditions of a search:
//   metric.auc > 0.7 and parameter.depth = 6 and tag.team = "the air" and status = RUNNING
// Words without a comparison are looked for in the run's name.
const kinds = { metric: "METRIC", metrics: "METRIC", parameter: "PARAMETER", param: "PARAMETER", params: "PARAMETER", parameters: "PARAMETER",
  tag: "TAG", tags: "TAG", attribute: "ATTRIBUTE", attributes: "ATTRIBUTE", dataset: "DATASET" };
const signs = { "=": "EQUAL", "==": "EQUAL", "!=": "NOT_EQUAL", "<": "LESS", "<=": "LESS_OR_EQUAL", ">": "GREATER", ">=": "GREATER_OR_EQUAL", like: "LIKE", ilike: "ILIKE" };
const attributes = ["run_id", "run_name", "status", "user", "start_time", "end_time"];
const times = ["start_time", "end_time"];

// A name may stand in double quotes or backquotes, a text in either kind of quotes.
const one = /^(?:(\w+)\.)?("[^"]+"|`[^`]+`|[^\s=!<>"`]+)\s*(==|!=|<=|>=|=|<|>|\b(?:not\s+)?in\b|\b(?:i?like)\b|\bis\s+(?:not\s+)?null\b)\s*(.*)$/is;

export class BadFilter extends Error {}

export function conditions(text) {
  return split(text).map(condition);
}

// At "and" outside quotes and parentheses.
function split(text) {
  const found = [];
  let quote = "", depth = 0, begun = "";
  for (let n = 0; n < text.length; n += 1) {
    const letter = text[n];
    if (quote) { if (letter === quote) quote = ""; }
    else if (`"'\``.includes(letter)) quote = letter;
    else if (letter === "(") depth += 1;
    else if (letter === ")") depth -= 1;
    else if (depth === 0 && /^\sand\s/i.test(text.slice(n, n + 5))) {
      found.push(begun);
      begun = "";
      n += 3;
      continue;
    }
    begun += letter;
  }
  if (quote) throw new BadFilter(`A ${quote} is not closed.`);
  return [...found, begun].map((part) => part.trim()).filter(Boolean);
}

function condition(text) {
  const match = text.match(one);
  if (!match) return { field: "FIELD_ATTRIBUTE", key: "run_name", comparison: "COMPARISON_ILIKE", text: `%${unquoted(text)}%` };
  const [, kind, name, sign, rest] = match;
  const field = kinds[(kind ?? "attribute").toLowerCase()];
  if (!field) throw new BadFilter(`“${kind}” is not known; there are metric, parameter, tag, attribute and dataset, such as metric.auc > 0.7.`);
  const key = unquoted(name);
  if (field === "ATTRIBUTE" && !attributes.includes(key)) throw new BadFilter(`“${key}” is no attribute; there are ${attributes.join(", ")}. Write metric.${key}, parameter.${key} or tag.${key} for those.`);
  const compared = { field: `FIELD_${field}`, key };
  const words = sign.toLowerCase().replaceAll(/\s+/g, " ");
  if (words === "is null" || words === "is not null") return { ...compared, comparison: `COMPARISON_${words.replaceAll(" ", "_").toUpperCase()}` };
  if (words === "in" || words === "not in") return { ...compared, comparison: `COMPARISON_${words.replace(" ", "_").toUpperCase()}`, texts: listed(rest) };
  const comparison = `COMPARISON_${signs[words]}`;
  if (rest.trim() === "") throw new BadFilter(`“${text}” compares with nothing; write a value after ${sign}.`);
  if (field === "METRIC" || times.includes(key)) return { ...compared, comparison, number: figure(unquoted(rest), key) };
  return { ...compared, comparison, text: key === "status" && field === "ATTRIBUTE" ? unquoted(rest).toUpperCase() : unquoted(rest) };
}

function figure(text, key) {
  const special = { nan: "NaN", inf: "Infinity", infinity: "Infinity", "-inf": "-Infinity", "-infinity": "-Infinity" }[text.toLowerCase()];
  if (special) return special;
  const value = times.includes(key) && Number.isNaN(Number(text)) ? Date.parse(text) : Number(text);
  if (Number.isNaN(value)) throw new BadFilter(`“${text}” is no number; ${key} is compared with one, ${times.includes(key) ? "or with a time such as 2026-11-24T09:00:00Z" : "such as 0.7"}.`);
  return value;
}

function listed(text) {
  const inner = text.trim().match(/^\((.*)\)$/s)?.[1];
  if (inner === undefined) throw new BadFilter("A list stands in parentheses: status in (RUNNING, FAILED).");
  return inner.split(/,(?=(?:[^"']|"[^"]*"|'[^']*')*$)/).map(unquoted);
}

const unquoted = (text) => text.trim().replace(/^(["'`])(.*)\1$/s, "$2");
