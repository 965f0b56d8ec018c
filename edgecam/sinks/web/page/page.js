// The page's behaviour: one EventSource for results and state, one endless fetch for the picture, and patience when
// either ends. The picture is read here and not by an <img>, because an <img> says nothing when its stream ends.
"use strict";

const $ = (id) => document.getElementById(id);
const STALLED_AFTER = 4000; // ms without an event
const DEAD_AFTER = 20000; // ms without an event until the connection is taken for dead
const HIDDEN_AFTER = 3000; // ms in the background until the camera is let go
const ROWS = 30;

let events = null; // the EventSource while the page wants one
let link = "connecting"; // connecting | open | offline
let stopped = false; // the server said good-bye
let failures = 0;
let retryTimer = 0;
let latest = null; // the newest event
let latestAt = 0;

// ---- connection

function connect() {
  clearTimeout(retryTimer);
  if (events || document.hidden) return;
  const source = (events = new EventSource("events?fps=10"));
  source.onopen = () => {
    link = "open";
    failures = 0;
    stopped = false;
    latest = null;
    latestAt = performance.now();
    watch();
  };
  source.onmessage = (event) => {
    latest = JSON.parse(event.data);
    latestAt = performance.now() - 1000 * latest.age;
    show(latest);
  };
  source.addEventListener("bye", () => { stopped = true; });
  source.onerror = () => {
    disconnect();
    later();
  };
}

function disconnect() {
  if (events) events.close();
  events = null;
  unwatch();
}

// A connection that the network lost in silence looks like a quiet one: make it anew.
function again() {
  if (link !== "open") return;
  disconnect();
  latestAt = performance.now();
  retry();
}
addEventListener("online", again);

function later() {
  link = "offline";
  refresh();
  failures += 1;
  const wait = Math.min(10000, 500 * 2 ** (failures - 1)) * (0.8 + 0.4 * Math.random());
  clearTimeout(retryTimer);
  retryTimer = setTimeout(retry, wait);
}

// Asks first: an EventSource does not tell "no server" from "sign in again".
async function retry() {
  try {
    const answer = await fetch("api/status", { cache: "no-store" });
    if (answer.status === 401) location.reload();
    else if (answer.ok) connect();
    else later();
  } catch {
    later();
  }
}

// ---- picture

let watching = null; // AbortController of the running stream
let heardAt = 0; // when it last brought anything; the server repeats a picture that stands still
async function watch() {
  unwatch();
  heardAt = performance.now();
  const mine = (watching = new AbortController());
  try {
    const answer = await fetch("stream.mjpg", { signal: mine.signal, cache: "no-store" });
    if (answer.ok) await read(answer.body.getReader());
  } catch {
    // ended, or cut: tried again below as long as the events flow
  }
  if (watching === mine && link === "open") setTimeout(() => { if (watching === mine && link === "open") watch(); }, 1000);
}

function unwatch() {
  if (watching) watching.abort();
  watching = null;
}

const ascii = new TextDecoder("latin1");
async function read(reader) {
  let data = new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heardAt = performance.now();
    const joined = new Uint8Array(data.length + value.length);
    joined.set(data);
    joined.set(value, data.length);
    data = joined;
    let newest = null;
    for (;;) {
      const head = ascii.decode(data.subarray(0, 512));
      const start = head.indexOf("\r\n\r\n") + 4;
      const length = /content-length: *(\d+)/i.exec(head);
      if (start < 4 || !length || data.length < start + +length[1]) break;
      newest = data.slice(start, start + +length[1]);
      data = data.subarray(start + +length[1]);
    }
    if (newest) draw(newest);
  }
}

// Decodes one picture at a time and then the newest that came meanwhile: a slow device skips, it never lags.
const canvas = $("picture");
const pen = canvas.getContext("2d", { alpha: false });
let decoding = false;
let next = null;
async function draw(jpeg) {
  next = jpeg;
  if (decoding) return;
  decoding = true;
  while (next) {
    const blob = new Blob([next], { type: "image/jpeg" });
    next = null;
    try {
      const bitmap = await createImageBitmap(blob);
      if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
        canvas.width = bitmap.width;
        canvas.height = bitmap.height;
      }
      pen.drawImage(bitmap, 0, 0);
      bitmap.close();
    } catch {
      // a broken picture: the next one comes
    }
  }
  decoding = false;
}

// A page that nobody sees lets the camera go: the server then draws and encodes nothing for it.
let hiddenTimer = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiddenTimer);
  if (!document.hidden) connect();
  else hiddenTimer = setTimeout(pause, HIDDEN_AFTER);
});
function pause() {
  disconnect();
  clearTimeout(retryTimer);
  link = "connecting";
}
addEventListener("pagehide", pause);
addEventListener("pageshow", (event) => { if (event.persisted) connect(); });

// ---- state

const TITLES = {
  starting: "Starting", running: "Running", degraded: "Degraded", waiting: "Waiting for camera", ended: "Ended",
  // The page's own, about its way to edgecam:
  connecting: "Connecting", stalled: "Stalled", offline: "No connection",
};

function state() {
  if (link === "offline") {
    return ["offline", stopped ? "edgecam was stopped. This page comes back by itself." : "The server does not answer. Trying again."];
  }
  if (link === "connecting") return ["connecting", "to the camera"];
  if (!latest) return ["starting", "Waiting for the first picture"];
  const { state, message } = latest.status;
  const silent = performance.now() - latestAt;
  if (state !== "ended" && silent > STALLED_AFTER) return ["stalled", `No news from the camera for ${Math.round(silent / 1000)} s`];
  return [state, message];
}

function text(id, value) {
  const node = typeof id === "string" ? $(id) : id;
  if (node.textContent !== value) node.textContent = value;
}

function refresh() {
  const [name, note] = state();
  const title = name === "offline" && stopped ? "Stopped" : TITLES[name] || name;
  document.body.dataset.state = name;
  text("state", title);
  text("notice-title", title);
  text("notice-text", note);
  document.title = name === "running" ? `${headline || "Running"} · edgecam` : `${title} · edgecam`;
}

// ---- results

// The same colours as in the picture: edgecam.overlay.class_color.
function color(id) {
  const hue = (210 + id * 137.507764) % 360;
  const lift = 14 * Math.max(0, Math.cos(((hue - 250) * Math.PI) / 180));
  const lightness = [60, 72, 52][Math.floor(id / 7) % 3] + lift;
  return `hsl(${hue.toFixed(2)} 90% ${lightness.toFixed(2)}%)`;
}

// Makes the list hold `items`, reusing its rows so that nothing flickers.
function fill(list, items, make, set) {
  while (list.children.length > items.length) list.lastChild.remove();
  while (list.children.length < items.length) list.append(make());
  items.forEach((item, i) => set(list.children[i], item));
}

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

function named(name) {
  const node = element(name);
  node.dir = "auto";
  return node;
}

let headline = "";
function showResults(record) {
  const found = record.detections || record.classes || [];
  fill($("results"), found.slice(0, ROWS),
    () => element("li", named("span"), element("b"), element("i")),
    (row, item) => {
      const percent = `${Math.round(item.score * 100)}%`;
      text(row.children[0], item.label);
      text(row.children[1], percent);
      row.style.setProperty("--class", color(item.class_id));
      row.style.setProperty("--score", percent);
    });
  const counts = new Map();
  for (const { label, class_id } of record.detections || []) {
    const seen = counts.get(label) || { label, class_id, n: 0 };
    seen.n += 1;
    counts.set(label, seen);
  }
  const sorted = [...counts.values()].sort((a, b) => b.n - a.n || (a.label < b.label ? -1 : 1));
  fill($("counts"), sorted, () => element("li", named("span"), element("b")), (chip, item) => {
    text(chip.children[0], item.label);
    text(chip.children[1], `×${item.n}`);
    chip.style.setProperty("--class", color(item.class_id));
  });
  $("counts").hidden = !sorted.length;
  $("results").hidden = $("empty").hidden = false;
  if (found.length) $("empty").hidden = true;
  else $("results").hidden = true;
  text("empty", record.detections || record.classes ? "Nothing recognised" : "No picture to look at");
  headline = sorted.length ? sorted.map(({ n, label }) => `${n} ${label}`).join(", ") : found.length ? found[0].label : "";
  speak(headline || "Nothing recognised");
}

// Screen readers hear what changed, not ten times a second.
let spokenAt = -Infinity;
function speak(words) {
  const now = performance.now();
  if (words === $("spoken").textContent || now - spokenAt < 5000) return;
  spokenAt = now;
  text("spoken", words);
}

// ---- figures

const history = [];
let sampledAt = 0;
function spark(value) {
  const now = performance.now();
  if (now - sampledAt < 500) return;
  sampledAt = now;
  history.push(value);
  if (history.length > 90) history.shift();
  const top = Math.max(...history) * 1.1 || 1;
  const points = history.map((v, i) => `${((i + 90 - history.length) / 89 * 100).toFixed(1)} ${(23 - 22 * v / top).toFixed(1)}`);
  const [line, area] = $("spark").children;
  line.setAttribute("d", `M${points.join("L")}`);
  area.setAttribute("d", `M${points.join("L")}V24H${points[0].split(" ")[0]}Z`);
}

const whole = new Intl.NumberFormat("en");
function show(record) {
  const s = record.status;
  showResults(record);
  text("camera-fps", s.camera_fps.toFixed(1));
  text("inference-fps", s.inference_fps.toFixed(1));
  text("inference-ms", s.inference_ms.toFixed(1));
  text("age", Math.round(s.age_ms).toString());
  text("dropped", whole.format(s.dropped));
  text("source", s.source);
  text("model", s.model || "–");
  text("device", s.device || "–");
  text("runtime", s.runtime || "–");
  text("size", record.size.join(" × "));
  text("frames", whole.format(s.frames));
  $("stage").style.setProperty("--ratio", record.size.join(" / "));
  spark(s.inference_ms);
  refresh();
}

// ---- full screen

const stage = $("stage");
const full = $("full");
function toggleFull() {
  if (document.fullscreenElement) document.exitFullscreen();
  else stage.requestFullscreen().catch(() => {});
}
full.hidden = !document.fullscreenEnabled;
full.addEventListener("click", toggleFull);
stage.addEventListener("dblclick", () => { if (!full.hidden) toggleFull(); });
document.addEventListener("fullscreenchange", () => {
  text(full.querySelector("span"), document.fullscreenElement ? "Leave full screen" : "Full screen");
});

setInterval(() => {
  if (performance.now() - latestAt > DEAD_AFTER && latest?.status.state !== "ended") again();
  else if (watching && performance.now() - heardAt > DEAD_AFTER) watch();
  refresh();
}, 1000);
connect();
