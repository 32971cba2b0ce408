// What can be done with a model and a version of it.
import { action, actions } from "../../parts/action.js";
import { check, choice, field } from "../../parts/dom.js";
import { area, describing, line, renaming, tagging } from "../../parts/forms.js";
import { stageOf } from "../../parts/format.js";
import { to } from "../../shell/address.js";

const part = encodeURIComponent;
const write = "model.write", promote = "model.promote", review = "model.review";
const next = { STAGE_DEVELOPMENT: "STAGE_STAGING", STAGE_STAGING: "STAGE_PRODUCTION" };
const risks = [["RISK_LOW", "low"], ["RISK_MEDIUM", "medium"], ["RISK_HIGH", "high"]];
const names = (text) => text.value.split(",").map((name) => name.trim()).filter(Boolean);

export function modelActs(model) {
  const path = `/api/v1/models/${part(model.name)}`, of = `of ${model.name}`;
  return actions(`Change ${model.name}`,
    renaming("Rename model", { permission: write, now: model.name, save: async (call, name) => called(await call(`${path}/rename`, { new_name: name })) }),
    describing("Edit description", { of, permission: write, now: model.description, save: async (call, description) => { await call(`${path}/update`, { description }); return "The description is changed."; } }),
    tagging("Edit tags", { of, permission: write, tags: model.tags, save: async (call, tags, removed) => { await call(`${path}/tags`, { tags, removed }); return "The tags are changed."; } }),
    deleting("Delete model", model.name, `${model.name} is hidden with all its versions and keeps its name. As of before it can be seen; registering it again goes on with the next number.`, {
      async save(call, reason) {
        await call(`${path}/delete`, { reason });
        return { words: `${model.name} is deleted.`, at: to.models() };
      },
    }));
}

const called = ({ name }) => ({ words: `The model is called ${name}.`, at: to.model(name) });

export function versionActs(v) {
  const path = `/api/v1/models/${part(v.model)}/versions/${v.version}`, of = v.version, further = next[v.stage];
  return actions(`Change ${v.version}`,
    further && asking(v, path, further), further && promoting(v, path, further),
    v.stage !== "STAGE_ARCHIVED" && [reviewing("Approve", "REVIEW_DECISION_APPROVED", v, path), reviewing("Reject", "REVIEW_DECISION_REJECTED", v, path), archiving(v, path)],
    describing("Edit description", { of: `of ${of}`, permission: write, now: v.description, save: async (call, description) => { await call(`${path}/update`, { description }); return "The description is changed."; } }),
    tagging("Edit tags", { of: `of ${of}`, permission: write, tags: v.tags, save: async (call, tags, removed) => { await call(`${path}/tags`, { tags, removed }); return "The tags are changed."; } }),
    pointing(v), v.aliases.length > 0 && unpointing(v),
    deleting("Delete version", of, `${v.version} is hidden with its aliases, and its number is never used again. As of before it can be seen.`, {
      async save(call, reason) {
        await call(`${path}/delete`, { reason });
        return `${of} is deleted.`;
      },
    }));
}

const deleting = (label, of, final, { save }) => action(label, {
  permission: write, of, final,
  form() {
    const reason = area();
    return { parts: field("Why", reason), send: (call) => save(call, reason.value) };
  },
});

const asking = (v, path, stage) => action("Ask for promotion", {
  permission: promote, of: `of ${v.version} to ${stageOf(stage)}`,
  form() {
    const title = line({ required: true, maxLength: 200, value: `${v.model} ${v.version} to ${stageOf(stage)}` });
    const description = area(), risk = choice(risks, "RISK_LOW", () => {});
    const reasons = area({ required: true, placeholder: "a line for each" });
    const reviewers = line({ placeholder: "bob, carol" }), asked = line({ placeholder: "dave" });
    return {
      parts: [field("Title", title), field("What and why", description), field("Risk", risk), field("Why the risk is so", reasons), field("Must approve", reviewers), field("Are asked to look", asked)],
      async send(call) {
        const made = await call(`/api/v1/models/${part(v.model)}/changes`, {
          version: v.version, title: title.value, description: description.value, to_stage: stage, risk: risk.value,
          risk_reasons: reasons.value.split("\n").map((reason) => reason.trim()).filter(Boolean), reviewers: names(reviewers), asked: names(asked),
        });
        return `Request ${made.number} is opened.`;
      },
    };
  },
});

const promoting = (v, path, stage) => action(`Promote to ${stageOf(stage)}`, {
  permission: promote, of: v.version, final: `There is no way back: from ${stageOf(stage)} a version goes on, or is archived.`,
  form() {
    const reason = area(), others = check(`Archive the other versions in ${stageOf(stage)}, for good`, false, () => {});
    return {
      parts: [field("Why", reason), others],
      async send(call) {
        await call(`${path}/promotions`, { stage, reason: reason.value, expected_stage: v.stage, archive_others: others.firstChild.checked });
        return `${v.version} is in ${stageOf(stage)}.`;
      },
    };
  },
});

const archiving = (v, path) => action("Archive", {
  permission: promote, of: v.version, final: "This cannot be taken back: archived is the last stage.",
  form() {
    const reason = area();
    return {
      parts: field("Why", reason),
      async send(call) {
        await call(`${path}/promotions`, { stage: "STAGE_ARCHIVED", reason: reason.value, expected_stage: v.stage });
        return `${v.version} is archived.`;
      },
    };
  },
});

const reviewing = (label, decision, v, path) => action(label, {
  permission: review, of: v.version,
  form() {
    const comment = area({ required: true, maxLength: 4096 });
    return {
      parts: field("What you looked at, and found", comment),
      async send(call) {
        await call(`${path}/reviews`, { decision, comment: comment.value });
        return `Your review of ${v.version} is kept.`;
      },
    };
  },
});

const pointing = (v) => action("Set alias", {
  permission: promote, of: `to ${v.version}`,
  form() {
    const alias = line({ required: true, maxLength: 200, placeholder: "champion" });
    return {
      parts: field("Alias", alias),
      async send(call) {
        await call(`/api/v1/models/${part(v.model)}/aliases`, { alias: alias.value.trim(), version: v.version });
        return `${alias.value.trim()} points to ${v.version}.`;
      },
    };
  },
});

const unpointing = (v) => action("Delete alias", {
  permission: promote, of: `of ${v.version}`,
  form() {
    const alias = choice(v.aliases.map((one) => [one, one]), v.aliases[0], () => {});
    return {
      parts: field("Alias", alias),
      async send(call) {
        await call(`/api/v1/models/${part(v.model)}/aliases/${part(alias.value)}/delete`);
        return `${alias.value} is taken away.`;
      },
    };
  },
});
