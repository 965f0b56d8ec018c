// What this page shows of the results: a least score, and labels that are left out. Of this browser only.
import { $, button, fill, recall, remember, text } from "./dom.js";

const MOST = 60; // labels to choose from

const kept = recall("filter", {});
export const filter = {
  least: typeof kept.least === "number" && kept.least >= 0 && kept.least <= 1 ? kept.least : 0,
  hidden: new Set(Array.isArray(kept.hidden) ? kept.hidden : []),
};
const seen = new Set(filter.hidden);
let changed = () => {};

export const passes = (item) => item.score >= filter.least && !filter.hidden.has(item.label);

export function startFilter(onChange) {
  changed = onChange;
  const slider = $("least");
  slider.value = Math.round(filter.least * 100);
  slider.addEventListener("input", () => {
    filter.least = slider.value / 100;
    apply();
  });
  $("all").addEventListener("click", () => {
    filter.least = 0;
    slider.value = 0;
    filter.hidden.clear();
    apply();
  });
  show();
}

// Labels come up as they are seen.
export function meet(record) {
  const before = seen.size;
  for (const { label } of record.detections || record.classes || []) {
    if (seen.size < MOST) seen.add(label);
  }
  if (seen.size !== before) show();
}

export function tellWay(mode) {
  text("filter-note", mode === "browser"
    ? "For the boxes and the list on this page. Events, recordings and other viewers stay as they are."
    : "For the list on this page only: the picture is drawn by the camera's computer, with everything in it.");
}

function apply() {
  remember("filter", { least: filter.least, hidden: [...filter.hidden] });
  show();
  changed();
}

function toggle(label) {
  if (!filter.hidden.delete(label)) filter.hidden.add(label);
  apply();
}

function show() {
  const percent = `${Math.round(filter.least * 100)}%`;
  text("least-value", percent);
  $("least").setAttribute("aria-valuetext", percent);
  fill($("labels"), [...seen].sort(), () => {
    const row = document.createElement("li");
    const node = button("", () => toggle(node.dataset.label), "chip");
    node.dir = "auto";
    row.append(node);
    return row;
  }, (row, label) => {
    const node = row.firstChild;
    node.dataset.label = label;
    node.setAttribute("aria-pressed", String(!filter.hidden.has(label)));
    text(node, label);
  });
  $("labels-none").hidden = seen.size > 0;
  const on = filter.least > 0 || filter.hidden.size > 0;
  $("all").hidden = !on;
  text("filter-state", on ? "on" : "");
}
