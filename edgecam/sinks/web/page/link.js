// The way to edgecam: one EventSource for results, steps of events and state, and patience when it ends.

export const STALLED_AFTER = 4000; // ms without an event
const DEAD_AFTER = 20000; // ms without an event until the connection is taken for dead
const HIDDEN_AFTER = 3000; // ms in the background until the camera is let go

// state: connecting | open | offline; stopped: the server said good-bye; latest: the newest record.
export const link = { state: "connecting", stopped: false, latest: null, latestAt: 0, events: null };

let hooks = {};
let failures = 0;
let retryTimer = 0;
let hiddenTimer = 0;

// hooks: opened(), closed(), record(record), step(event), changed()
export function start(given) {
  hooks = given;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiddenTimer);
    if (!document.hidden) connect();
    else hiddenTimer = setTimeout(pause, HIDDEN_AFTER);
  });
  addEventListener("pagehide", pause);
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  addEventListener("online", again);
  setInterval(() => {
    const silent = performance.now() - link.latestAt;
    if (silent > DEAD_AFTER && link.latest?.status.state !== "ended") again();
    hooks.changed();
  }, 1000);
  connect();
}

function connect() {
  clearTimeout(retryTimer);
  if (link.events || document.hidden) return;
  const source = (link.events = new EventSource("events?fps=10"));
  source.onopen = () => {
    link.state = "open";
    failures = 0;
    link.stopped = false;
    link.latest = null;
    link.latestAt = performance.now();
    hooks.opened();
  };
  source.onmessage = (event) => {
    link.latest = JSON.parse(event.data);
    link.latestAt = performance.now() - 1000 * link.latest.age;
    hooks.record(link.latest);
  };
  source.addEventListener("event", (event) => hooks.step(JSON.parse(event.data)));
  source.addEventListener("bye", () => { link.stopped = true; });
  source.onerror = () => {
    disconnect();
    later();
  };
}

function disconnect() {
  if (link.events) link.events.close();
  link.events = null;
  hooks.closed();
}

// A page that nobody sees lets the camera go: the server then draws and encodes nothing for it.
function pause() {
  disconnect();
  clearTimeout(retryTimer);
  link.state = "connecting";
}

// A connection that the network lost in silence looks like a quiet one: make it anew.
function again() {
  if (link.state !== "open") return;
  disconnect();
  link.latestAt = performance.now();
  retry();
}

function later() {
  link.state = "offline";
  hooks.changed();
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
