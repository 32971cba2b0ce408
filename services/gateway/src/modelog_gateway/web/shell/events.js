// The log as it grows: events in words, and listening to those that come.
import { ask } from "./api.js";

const told = ["name", "model", "version", "stage", "to_stage", "deployment", "monitor", "label", "status", "reason", "text"];

export const about = ({ payload }) => told.filter((k) => ["string", "number"].includes(typeof payload?.[k]) && payload[k] !== "")
  .map((k) => payload[k]).join(" · ");

// "alice: version promoted · flight-delay · 1.0.0 · production"
export function sentence(event) {
  const happened = event.type.split(".").pop().replace(/(?<!^)([A-Z])/g, " $1").toLowerCase();
  return [`${event.actor}: ${happened}`, about(event)].filter(Boolean).join(" · ");
}

// Before what was not answered is asked for again.
export const pause = () => new Promise((go) => setTimeout(go, 1000));

// Tell of every event after a position, until the signal says stop. What breaks off is begun again where it was.
export async function follow(after, signal, { happened, trouble }) {
  while (!signal.aborted) {
    try {
      const answer = await ask(`/api/v1/events/stream?after=${after}`, { signal });
      trouble("");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; ;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const messages = text.split("\n\n");
        text = messages.pop();
        for (const message of messages) {
          const data = message.match(/^data: (.*)$/m);
          if (!data || !message.includes("event: event")) continue;
          const event = JSON.parse(data[1]);
          after = Number(event.position);
          happened(event);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      trouble(`The event stream is away: ${error.message} Trying again.`);
    }
    await pause();
  }
}

const calm_ms = 1000;

// Ask again when something happened, and at most once a second however much happens.
export function calmly(refresh, report) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => { waiting = false; refresh().catch(report); }, calm_ms);
  };
}
