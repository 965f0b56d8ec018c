// The list of what is recognised now, and what a screen reader is told of it.
import { $, color, element, fill, named, text } from "./dom.js";
import { passes } from "./filter.js";

const ROWS = 30;

// Shows a record's results; gives the words that say it in short.
export function showResults(record) {
  const looked = record.detections || record.classes;
  const found = (looked || []).filter(passes);
  fill($("results"), found.slice(0, ROWS),
    () => element("li", named("span"), element("b"), element("i")),
    (row, item) => {
      const percent = `${Math.round(item.score * 100)}%`;
      text(row.children[0], item.label);
      text(row.children[1], percent);
      row.style.setProperty("--class", color(item.class_id));
      row.style.setProperty("--score", percent);
    });
  const sorted = counted(record.detections ? found : []);
  fill($("counts"), sorted, () => element("li", named("span"), element("b")), (chip, item) => {
    text(chip.children[0], item.label);
    text(chip.children[1], `×${item.n}`);
    chip.style.setProperty("--class", color(item.class_id));
  });
  $("counts").hidden = !sorted.length;
  $("results").hidden = !found.length;
  $("empty").hidden = found.length > 0;
  const hidden = looked && looked.length > found.length;
  text("empty", hidden ? "Nothing that passes the filter" : looked ? "Nothing recognised" : "No picture to look at");
  const headline = sorted.length ? sorted.map(({ n, label }) => `${n} ${label}`).join(", ") : found[0]?.label || "";
  speak(headline || "Nothing recognised");
  return headline;
}

function counted(found) {
  const counts = new Map();
  for (const { label, class_id } of found) {
    const seen = counts.get(label) || { label, class_id, n: 0 };
    seen.n += 1;
    counts.set(label, seen);
  }
  return [...counts.values()].sort((a, b) => b.n - a.n || (a.label < b.label ? -1 : 1));
}

// Screen readers hear what changed, not ten times a second.
let spokenAt = -Infinity;
function speak(words) {
  const now = performance.now();
  if (words === $("spoken").textContent || now - spokenAt < 5000) return;
  spokenAt = now;
  text("spoken", words);
}
