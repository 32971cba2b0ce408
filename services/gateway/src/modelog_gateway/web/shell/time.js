// The time control: which moment the page shows. It stands in the address, so that a moment can be shared as a link.
import { put } from "./address.js";

const $ = (id) => document.getElementById(id);
const settle_ms = 150;

// "2026-11-24 10:03:12", in the reader's own time zone.
const local = (time) => new Date(time).toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
const forInput = (time) => {
  const at = new Date(time);
  return new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
};

// `get` asks the platform, `words` tells of an event, `fail` of an error; `show` is called with "" for now, or with the
// position or time that the page is to show.
export class TimeControl {
  constructor({ get, words, show, fail }) {
    Object.assign(this, { get, words, show, fail });
    this.asOf = "";
    this.head = 0;
    this.turn = 0;
    $("slider").addEventListener("input", () => this.slide(Number($("slider").value)));
    $("earlier").addEventListener("click", () => this.step(-1));
    $("later").addEventListener("click", () => this.step(1));
    $("live").addEventListener("click", () => this.go(""));
    $("jump").addEventListener("submit", (event) => { event.preventDefault(); this.jump(); });
    for (const id of ["position", "clock"]) $(id).addEventListener("input", () => { this.written = id; });
    addEventListener("popstate", () => this.open());
  }

  get past() { return this.asOf !== ""; }

  // Show what the address says.
  open() { return this.go(new URLSearchParams(location.search).get("as_of") ?? "", { remember: false }); }

  // While the page is live: the log has grown to this event.
  grown(event) {
    if (Number(event.position) < this.head) return;  // the last ones are told again when the stream begins
    this.head = Number(event.position);
    if (this.past) return;
    this.tell(event, this.head);
  }

  // Dragging: tell at once where the cursor is, and ask when it rests.
  slide(position) {
    $("position").value = position;
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.go(position >= this.head ? "" : String(position), { replace: true }), settle_ms);
  }

  jump() {
    const { value } = $(this.written ?? "position");
    if (value) this.go(this.written === "clock" ? new Date(value).toISOString().replace(".000Z", "Z") : value);
  }

  // To the event before or after the one under the cursor; one step after the other, however fast they are asked for.
  step(way) {
    this.stepping = (this.stepping ?? Promise.resolve()).then(() => this.toNext(way)).catch(this.fail);
  }

  async toNext(way) {
    const here = this.event ? Number(this.event.position) : 0;
    if (way < 0) {
      this.event = await this.last(String(Math.max(0, here - 1)));
      this.go(this.event?.position ?? "0");
      return;
    }
    const { events: [next], head } = await this.get(`/api/v1/events?limit=1&after=${here}`);
    this.event = next ?? this.event;
    this.go(next && Number(next.position) < Number(head) ? next.position : "");
  }

  async last(asOf) {
    const { events: [event] } = await this.get(`/api/v1/events?limit=1&newest_first=true&as_of=${encodeURIComponent(asOf)}`);
    return event;
  }

  // Show a moment; `remember` puts it into the address.
  async go(asOf, { remember = true, replace = false } = {}) {
    const turn = ++this.turn;
    this.asOf = asOf;
    this.written = undefined;
    if (remember) {
      // The next page of a list belongs to the moment of its first one.
      put({ as_of: asOf, page: "" }, { replace: replace && this.sliding });
    }
    this.sliding = replace;
    document.body.classList.toggle("then", this.past);
    $("past").hidden = !this.past;
    $("moment").textContent = asOf ? `As of ${isPosition(asOf) ? `position ${asOf}` : local(asOf)}.` : "";
    try {
      await Promise.all([this.show(asOf), this.locate(asOf, turn)]);
    } catch (error) {
      if (turn === this.turn) this.fail(error);
    }
  }

  async locate(asOf, turn) {
    const { head } = await this.get("/api/v1/events?limit=1");
    const { head: position } = asOf ? await this.get(`/api/v1/events?limit=1&as_of=${encodeURIComponent(asOf)}`) : { head };
    const event = await this.last(position);
    if (turn !== this.turn) return;  // somebody went on in the meantime
    if (!asOf && Number(head) < this.head) return;  // and so did the log, of which `grown` has told
    this.head = Number(head);
    this.tell(event, Number(position));
  }

  // Not what somebody is writing in, or has written and not yet asked for.
  mayFill(id) { return this.written !== id && document.activeElement !== $(id); }

  // Say where the cursor is: the event in words, and the two fields.
  tell(event, position) {
    this.event = event;
    $("slider").max = this.head;  // first: a value beyond it would be cut
    $("slider").value = position;
    const text = event ? this.words(event) : "Before the first event.";
    const where = document.createElement("strong");
    where.textContent = this.past ? `${position} of ${this.head}` : `Now, ${position}`;
    $("words").replaceChildren(where, event ? ` · ${local(event.recorded_at)} · ${text}` : ` · ${text}`);
    $("slider").ariaValueText = `${position} of ${this.head}: ${text}`;
    if (this.mayFill("position")) $("position").value = position;
    if (this.mayFill("clock")) $("clock").value = forInput(this.past && !isPosition(this.asOf) ? this.asOf : event?.recorded_at ?? Date.now());
    if (this.past && event) $("moment").textContent = `As of ${isPosition(this.asOf) ? `position ${this.asOf}` : local(this.asOf)}, ${ago(isPosition(this.asOf) ? event.recorded_at : this.asOf)}.`;
    $("earlier").disabled = !event;
    $("later").disabled = !this.past;
  }
}

const isPosition = (asOf) => /^\d+$/.test(asOf);

function ago(time) {
  const s = Math.max(0, (Date.now() - new Date(time)) / 1000);
  const [count, unit] = s < 90 ? [s, "second"] : s < 5400 ? [s / 60, "minute"] : s < 129600 ? [s / 3600, "hour"] : [s / 86400, "day"];
  return new Intl.RelativeTimeFormat("en").format(-Math.round(count), unit);
}
