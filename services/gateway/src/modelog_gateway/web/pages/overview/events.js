// The last events, as they happen or up to the moment that is shown.
import { h, section } from "../../parts/dom.js";
import { get, moment } from "../../shell/api.js";
import { about } from "../../shell/events.js";

const most = 200;

export class Events {
  constructor() {
    this.kind = h("span", { id: "kind-of-events" }, "as they happen");
    this.list = h("ol", { id: "events", tabIndex: 0, "aria-label": "The last events, newest first" });
    this.element = section("Events", { id: "s-events", aside: this.kind }, this.list);
  }

  async show() {
    this.kind.textContent = moment.asOf ? "up to this moment" : "as they happen";
    if (!moment.asOf) return this.list.replaceChildren();
    const { events } = await get("/api/v1/events", { newest_first: true, limit: most });
    this.list.replaceChildren();
    events.reverse().forEach((event) => this.add(event));
  }

  add(event) {
    const time = new Date(event.recorded_at).toLocaleTimeString();
    this.list.prepend(h("li", {}, [event.position, time, event.type, `${event.actor}  ${about(event)}`].map((text) => h("span", {}, text))));
    while (this.list.children.length > most) this.list.lastChild.remove();
  }
}
