// The list of events: those of this run as they come, those of earlier ones as far as something of them is
// kept, with a picture and a film where there is one.
import { $, button, classed, element, getJson, named, text } from "./dom.js";
import { play } from "./player.js";

const MOST = 40;
const events = new Map(); // id -> { event, snapshot, clip }
let keeps = false;
let looking = 0; // the timer of the next look
let lookAt = Infinity;

export async function loadEvents() {
  try {
    const { events: steps } = await getJson("api/events?limit=300");
    for (const step of steps) note(step);
    await loadKept();
  } catch {
    // the list begins with what comes
  }
  render();
}

export function step(event) {
  const fresh = !events.has(event.id);
  note(event);
  render();
  if (fresh) text("event-spoken", `Event: ${title(event)}`);
  // A snapshot is on the disk a moment later, a film when it has ended.
  if (keeps) lookSoon(1500);
}

function note(event) {
  const known = events.get(event.id);
  if (known) known.event = event;
  else events.set(event.id, { event, snapshot: null, clip: null });
  const all = [...events.values()].sort((a, b) => b.event.start.time - a.event.start.time);
  for (const { event: { id } } of all.slice(MOST)) events.delete(id);
}

async function loadKept() {
  const found = await getJson(`api/recordings?limit=${MOST}`);
  keeps = found.kept;
  for (const { event, snapshot, clip } of found.events) {
    const known = events.get(event.id);
    // What is told live is newer than what lies on the disk; of another run the end may never have come.
    if (!known) note(event.phase === "end" ? event : { ...event, phase: "lost" });
    const entry = events.get(event.id);
    if (entry) Object.assign(entry, { snapshot, clip });
  }
}

function lookSoon(wait) {
  const at = performance.now() + wait;
  if (at >= lookAt) return;
  clearTimeout(looking);
  lookAt = at;
  looking = setTimeout(async () => {
    lookAt = Infinity;
    await loadKept().catch(() => {});
    render();
    // Films of events that ended a while ago may still come.
    if ([...events.values()].some(pending)) lookSoon(5000);
  }, wait);
}

function pending({ event, clip, snapshot }) {
  const age = Date.now() / 1000 - event.start.time - event.seconds;
  return keeps && age < 120 && (event.phase !== "end" || !clip || !snapshot);
}

function title(event) {
  const way = event.direction ? ` ${event.direction}` : "";
  return `${event.rule}: ${event.label}${way}`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

function when(seconds) {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return today ? clock.format(date) : `${day.format(date)}, ${clock.format(date)}`;
}

function lasted(event) {
  const seconds = event.seconds < 10 ? event.seconds.toFixed(1) : Math.round(event.seconds);
  if (event.kind === "line") return "";
  if (event.phase !== "end") return event.phase === "lost" ? "cut off" : "going on";
  return `${seconds} s`;
}

function render() {
  const list = $("events");
  const shown = [...events.values()].sort((a, b) => b.event.start.time - a.event.start.time);
  $("happenings").hidden = !shown.length && !keeps;
  $("events-none").hidden = shown.length > 0;
  text("event-count", shown.length ? String(shown.length) : "");
  const rows = new Map([...list.children].map((row) => [row.dataset.id, row]));
  shown.forEach((entry, i) => {
    const row = rows.get(entry.event.id) || make(entry.event.id);
    rows.delete(entry.event.id);
    update(row, entry);
    if (list.children[i] !== row) list.insertBefore(row, list.children[i] || null);
  });
  for (const row of rows.values()) row.remove();
}

function make(id) {
  const row = element("li", classed("div", "thumb"), classed("p", "what"), classed("p", "how"), classed("p", "links"));
  row.dataset.id = id;
  row.children[1].append(named("strong"));
  return row;
}

function update(row, { event, snapshot, clip }) {
  const [thumb, what, how, links] = row.children;
  text(what.firstChild, title(event));
  text(how, [when(event.start.time), lasted(event), event.most > 1 ? `${event.most} at once` : ""].filter(Boolean).join(" · "));
  const key = `${snapshot}|${clip}|${event.phase}`;
  if (row.dataset.key === key) return;
  row.dataset.key = key;
  thumb.replaceChildren();
  links.replaceChildren();
  if (snapshot) {
    const picture = element("img");
    // The best picture may be exchanged at the event's end: the address changes with its phase.
    Object.assign(picture, { src: `${snapshot}?${event.phase}`, alt: "", loading: "lazy" });
    thumb.append(picture);
    links.append(link("Picture", snapshot, event));
  }
  if (clip) links.append(button("Film", () => play({ address: clip, title: `${title(event)}, ${when(event.start.time)}` })));
  if (clip) links.lastChild.setAttribute("aria-label", `Film of ${title(event)}, ${when(event.start.time)}`);
}

function link(words, path, event) {
  const node = element("a", words);
  Object.assign(node, { href: path, target: "_blank", rel: "noopener" });
  node.setAttribute("aria-label", `${words} of ${title(event)}, ${when(event.start.time)}`);
  return node;
}
