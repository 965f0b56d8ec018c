// What record:FOLDER keeps: the segments of a day, newest first, played where the browser can.
import { $, button, classed, element, getJson, text } from "./dom.js";
import { link } from "./link.js";
import { play } from "./player.js";

const EVERY = 20000; // ms between two looks for new ones

let kept = false;
let day = ""; // that was chosen; "" follows the newest
let segments = [];

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", year: "numeric" });

const at = (seconds) => new Date(seconds * 1000);
const span = ({ start, seconds }) => (seconds ? clock.formatRange(at(start), at(start + seconds)) : `${clock.format(at(start))}, cut off`);

function room(bytes) {
  const [value, unit] = bytes < 1e6 ? [bytes / 1e3, "kB"] : bytes < 1e9 ? [bytes / 1e6, "MB"] : [bytes / 1e9, "GB"];
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

export async function loadFilms() {
  try {
    const found = await getJson(`api/segments?limit=2000${day ? `&day=${day}` : ""}`);
    kept = found.kept;
    segments = found.segments;
    showDays(found.days, found.day);
  } catch {
    return; // what was there stays; tried again
  }
  render();
}

function showDays(days, chosen) {
  const choice = $("recorded-day");
  // Local days, as the folders are named.
  const options = days.map((name) => new Option(date.format(new Date(`${name}T12:00`)), name));
  if ([...choice.options].map((o) => o.value).join() !== days.join()) choice.replaceChildren(...options);
  if (days.includes(chosen)) choice.value = chosen;
  choice.hidden = !days.length;
}

const probe = document.createElement("video");
const plays = ({ type }) => probe.canPlayType(type) !== "";

function render() {
  $("recorded").hidden = !kept && !segments.length;
  text("segment-count", segments.length ? String(segments.length) : "");
  const mute = segments.some((segment) => !plays(segment));
  $("recorded-none").hidden = segments.length > 0;
  $("recorded-mute").hidden = !mute;
  const list = $("segments");
  const rows = new Map([...list.children].map((row) => [row.dataset.key, row]));
  segments.forEach((segment, i) => {
    const key = `${segment.file} ${segment.bytes}`;
    const row = rows.get(key) || make(segment, key);
    rows.delete(key);
    if (list.children[i] !== row) list.insertBefore(row, list.children[i] || null);
  });
  for (const row of rows.values()) row.remove();
}

function make(segment, key) {
  const when = span(segment);
  const name = plays(segment) ? button(when, () => start(segment.file), "plain") : classed("span", "when", when);
  if (plays(segment)) name.setAttribute("aria-label", `Play the recording ${when}`);
  const save = classed("a", "plain", "Save");
  Object.assign(save, { href: segment.file, download: "" });
  save.setAttribute("aria-label", `Save the recording ${when}`);
  const row = element("li", name, classed("span", "how", room(segment.bytes)), save);
  row.dataset.key = key;
  return row;
}

function start(file) {
  let now = file;
  const shown = ({ file: address, ...segment }) => ({ address, title: `Recording, ${span(segment)}` });
  play(shown(segments.find((s) => s.file === file)), () => {
    const after = segments[segments.findIndex((s) => s.file === now) - 1];
    if (!after || !plays(after)) return null;
    now = after.file;
    return shown(after);
  });
}

export function startFilms() {
  $("recorded-day").addEventListener("change", (event) => {
    const choice = event.target;
    day = choice.selectedIndex ? choice.value : "";
    loadFilms();
  });
  setInterval(() => { if (kept && !document.hidden && link.state === "open") loadFilms(); }, EVERY);
}
