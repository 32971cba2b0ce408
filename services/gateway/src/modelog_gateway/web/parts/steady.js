// Drawing a page anew without taking away what somebody was at: the focus, and what was folded open.
import { replace } from "./dom.js";

export const nameOf = (element) => `${element.tagName} ${element.id} ${element.ariaLabel ?? ""} ${element.getAttribute("href") ?? ""} ${element.textContent.slice(0, 80)}`;

export function redrawn(place, ...children) {
  const focused = place.contains(document.activeElement) ? nameOf(document.activeElement) : null;
  const open = new Set([...place.querySelectorAll("details[open] > summary")].map(nameOf));
  replace(place, children);
  for (const summary of place.querySelectorAll("details > summary")) if (open.has(nameOf(summary))) summary.parentElement.open = true;
  if (focused) [...place.querySelectorAll("a, button, input, summary, [tabindex]")].find((element) => nameOf(element) === focused)?.focus({ preventScroll: true });
}
