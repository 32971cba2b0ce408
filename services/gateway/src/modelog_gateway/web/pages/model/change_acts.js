// What can be done with a change request: to look at it, to speak about it, to carry it out.
import { action, actions, mayHere } from "../../parts/action.js";
import { check, field, quiet, replace } from "../../parts/dom.js";
import { area } from "../../parts/forms.js";
import { stageOf } from "../../parts/format.js";
import { get, wasGivenUp } from "../../shell/api.js";

const running = ["CHANGE_STATE_OPEN", "CHANGE_STATE_APPROVED"];
const pathOf = (c) => `/api/v1/models/${encodeURIComponent(c.model)}/changes/${c.number}`;

export function changeActs(c) {
  const runs = running.includes(c.state);
  return [
    runs && mayHere("model.promote") && outlook(c),
    actions(`Request ${c.number}`,
      runs && [
        reviewing("Approve", "CHANGE_DECISION_APPROVED", c), reviewing("Ask for changes", "CHANGE_DECISION_CHANGES_ASKED", c),
        reviewing("Reject", "CHANGE_DECISION_REJECTED", c, "This cannot be taken back: a rejection ends the request."), applying(c), withdrawing(c),
      ],
      commenting(c)),
  ];
}

// What carrying it out would come to.
function outlook(c) {
  const place = quiet("");
  get(`${pathOf(c)}/outlook`).then(({ can_be_applied: can, because }) => replace(place, can ? "By the rules it can be carried out now." : `It cannot be carried out yet: ${because}`))
    .catch((error) => { if (!wasGivenUp(error)) replace(place, `Whether it can be carried out is not known: ${error.message}`); });
  return place;
}

const reviewing = (label, decision, c, final) => action(label, {
  permission: "model.review", of: `request ${c.number}`, final,
  form() {
    const comment = area({ required: true, maxLength: 20000 });
    return {
      parts: field("What you looked at, and found", comment),
      async send(call) {
        await call(`${pathOf(c)}/reviews`, { decision, comment: comment.value, evidence_revision: c.evidence_revision });
        return `Your review of request ${c.number} is kept.`;
      },
    };
  },
});

const commenting = (c) => action("Comment", {
  permission: "model.promote", of: `on request ${c.number}`,
  form() {
    const comment = area({ required: true, maxLength: 20000 });
    return {
      parts: field("Comment", comment),
      async send(call) {
        await call(`${pathOf(c)}/comments`, { comment: comment.value });
        return `Your comment on request ${c.number} is kept.`;
      },
    };
  },
});

const applying = (c) => action("Carry out", {
  permission: "model.promote", of: `request ${c.number}`, final: `There is no way back: ${c.version} goes to ${stageOf(c.to_stage)}, and from there on, or is archived.`,
  form() {
    const others = check(`Archive the other versions in ${stageOf(c.to_stage)}, for good`, false, () => {});
    return {
      parts: others,
      async send(call) {
        await call(`${pathOf(c)}/apply`, { archive_others: others.firstChild.checked });
        return `${c.version} is in ${stageOf(c.to_stage)}.`;
      },
    };
  },
});

const withdrawing = (c) => action("Withdraw", {
  permission: "model.promote", of: `request ${c.number}`, final: "This cannot be taken back: another request can be opened.",
  form() {
    const reason = area();
    return {
      parts: field("Why", reason),
      async send(call) {
        await call(`${pathOf(c)}/withdraw`, { reason: reason.value });
        return `Request ${c.number} is withdrawn.`;
      },
    };
  },
});
