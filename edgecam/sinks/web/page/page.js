// Puts the page together: what comes from edgecam (link.js) goes to the parts that show it.
import { addSample, loadHistory, startCharts } from "./charts.js";
import { $, getJson, recall, remember, text } from "./dom.js";
import { loadFilms, startFilms } from "./films.js";
import { meet, startFilter, tellWay } from "./filter.js";
import { loadEvents, step } from "./happenings.js";
import { STALLED_AFTER, link, start } from "./link.js";
import { scene } from "./overlay.js";
import { checkAlive, choose, redraw, unwatch, view, want, watch } from "./picture.js";
import { startPlayer } from "./player.js";
import { showResults } from "./results.js";
import { lookForRtc, rtc } from "./rtc.js";

const TITLES = {
  starting: "Starting", running: "Running", degraded: "Degraded", waiting: "Waiting for camera", paused: "Paused", ended: "Ended",
  // The page's own, about its way to edgecam:
  connecting: "Connecting", stalled: "Stalled", offline: "No connection",
};

// ---- state

function state() {
  if (link.state === "offline") {
    return ["offline", link.stopped ? "edgecam was stopped. This page comes back by itself." : "The server does not answer. Trying again."];
  }
  if (link.state === "connecting") return ["connecting", "to the camera"];
  if (!link.latest) return ["starting", "Waiting for the first picture"];
  const { state, message } = link.latest.status;
  const silent = performance.now() - link.latestAt;
  if (state !== "ended" && silent > STALLED_AFTER) return ["stalled", `No news from the camera for ${Math.round(silent / 1000)} s`];
  return [state, message];
}

let headline = "";
function refresh() {
  const [name, note] = state();
  const title = name === "offline" && link.stopped ? "Stopped" : TITLES[name] || name;
  document.body.dataset.state = name;
  text("state", title);
  text("notice-title", title);
  text("notice-text", note);
  document.title = name === "running" ? `${headline || "Running"} · edgecam` : `${title} · edgecam`;
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
  meet(record);
  headline = showResults(record);
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
  text("frames", whole.format(s.frames) + (s.still ? `, ${whole.format(s.still)} still` : ""));
  $("stage").style.setProperty("--ratio", record.size.join(" / "));
  spark(s.inference_ms);
  addSample(record);
  refresh();
}

// ---- who draws the boxes

let relay = null; // what the newest record of a picture said
function arrange(record) {
  if (record.relay !== null) relay = record.relay;
  choose(record.relay);
  showWay();
}

const DRAWN = { browser: "in this browser", server: "by the camera’s computer", rtc: "by the camera’s computer, low latency" };
function showWay() {
  text("drawn", DRAWN[view.mode] || "–");
  $("way").hidden = relay !== true || view.mode === "rtc";
  $("way").setAttribute("aria-pressed", String(view.mode === "browser"));
  $("rtc").hidden = !rtc.available;
  $("rtc").setAttribute("aria-pressed", String(view.mode === "rtc"));
  tellWay(view.mode);
}

const kept = recall("way", "auto");
view.wanted = ["server", "rtc"].includes(kept) ? kept : "auto";
function turn(way) {
  const wanted = view.wanted === way && !rtc.failed ? "auto" : way;
  rtc.failed = false;
  remember("way", wanted);
  want(wanted, relay);
  showWay();
}
$("way").addEventListener("click", () => turn("server"));
$("rtc").addEventListener("click", () => turn("rtc"));

view.trouble = (error) => {
  rtc.failed = true;
  want(view.wanted, relay);
  showWay();
  say(`No low latency: ${error.message}. The picture comes the usual way.`);
};

function say(words) {
  text("said", words);
  $("said").className = "note";
  setTimeout(() => { if ($("said").textContent === words) text("said", ""); }, 15000);
}

// ---- what belongs to a connection

async function loadScene() {
  try {
    Object.assign(scene, await getJson("api/scene"));
    $("edit").hidden = !scene.editable;
    await lookForRtc();
    choose(relay);
    showWay();
    const { cameras } = await getJson("api/cameras");
    $("neighbours").hidden = !cameras.length;
    const { name, way } = await getJson("api/session");
    text("who", name === "token" ? "" : name);
    $("account").hidden = way !== "session";
    redraw();
  } catch {
    // tried again with the next connection
  }
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
stage.addEventListener("dblclick", () => { if (!full.hidden && !document.body.dataset.editing) toggleFull(); });
document.addEventListener("fullscreenchange", () => {
  text(full.querySelector("span"), document.fullscreenElement ? "Leave full screen" : "Full screen");
});

// Loaded when it is asked for: most viewers never draw a zone.
$("edit").addEventListener("click", async () => {
  const { openEditor } = await import("./edit.js");
  openEditor();
});

startFilter(() => {
  redraw();
  if (link.latest) showResults(link.latest);
});
startCharts();
startFilms();
startPlayer();
start({
  opened() {
    if (view.mode) watch();
    loadScene();
    loadHistory();
    loadEvents();
    loadFilms();
  },
  closed: unwatch,
  record(record) {
    arrange(record);
    show(record);
  },
  step,
  changed() {
    checkAlive();
    refresh();
  },
});
