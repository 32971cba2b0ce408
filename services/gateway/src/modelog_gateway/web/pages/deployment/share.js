// A deployment with its versions' shares of the traffic.
import { h, link, said } from "../../parts/dom.js";
import { words } from "../../parts/format.js";
import { to } from "../../shell/address.js";

export function share(deployment) {
  const split = h("div", { class: "split", "aria-hidden": "true" });
  const shares = h("div", { class: "shares" });
  for (const { version, percent } of deployment.variants.filter((v) => v.percent > 0)) {
    const part = h("span");
    part.style.flexBasis = `${percent}%`;
    split.append(part);
    shares.append(h("span", {}, link(to.model(deployment.model, version), version), `: ${percent.toFixed(0)} %`));
  }
  return h("div", {}, link(to.deployment(deployment.name), said(deployment.name)), ": ", said(deployment.model),
    `, ${words(deployment.environment, "DEPLOYMENT_ENVIRONMENT_")}, ${words(deployment.status, "DEPLOYMENT_STATUS_")}`, split, shares);
}
