// The live picture. Three ways, chosen by what the server can give:
//   browser: the camera's own JPEG and its results (live); boxes are drawn here, on a canvas above the picture.
//   server:  a picture with everything drawn in (stream.mjpg); also where privacy rules change the picture.
//   rtc:     the same with low latency, where the viewer asks for it; when it cannot be had, one of the others.
import { $ } from "./dom.js";
import { link } from "./link.js";
import { clearOverlay, drawOverlay } from "./overlay.js";
import { readParts } from "./parts.js";
import { rtc, showRtc } from "./rtc.js";

const DEAD_AFTER = 20000; // ms without anything; the server repeats a picture that stands still

export const view = { mode: "", wanted: "auto", shown: null, number: 0, trouble: () => {} };

let watching = null; // AbortController of the running stream
let heardAt = 0;

// Which way, after a record's word on it; null is a placard, which does not say.
export function choose(relay) {
  let mode = view.mode || "server";
  if (view.wanted === "rtc" && rtc.available && !rtc.failed) mode = "rtc";
  else if (view.wanted === "server" || relay === false) mode = "server";
  else if (relay === true) mode = "browser";
  else if (mode === "rtc") mode = "server";
  if (mode === view.mode) return false;
  view.mode = mode;
  document.body.dataset.drawn = mode;
  if (mode !== "browser") forget();
  $("video").hidden = mode !== "rtc";
  watch();
  return true;
}

export function want(way, relay) {
  view.wanted = way;
  choose(relay);
}

function forget() {
  view.shown = null;
  view.number = 0;
  clearOverlay();
}

export async function watch() {
  unwatch();
  if (!view.mode || link.state !== "open") return;
  heardAt = performance.now();
  const mine = (watching = new AbortController());
  if (view.mode === "rtc") return watchRtc(mine);
  const path = view.mode === "browser" ? "live" : "stream.mjpg";
  try {
    const answer = await fetch(path, { signal: mine.signal, cache: "no-store" });
    if (answer.ok) await readParts(answer.body.getReader(), (parts) => { heardAt = performance.now(); take(parts); });
  } catch {
    // ended, or cut: tried again below as long as the events flow
  }
  if (watching === mine) setTimeout(() => { if (watching === mine && link.state === "open") watch(); }, 1000);
}

async function watchRtc(mine) {
  try {
    await showRtc(mine.signal, () => { heardAt = performance.now(); });
  } catch (error) {
    if (watching !== mine || link.state !== "open") return;
    view.trouble(error);
  }
}

export function unwatch() {
  if (watching) watching.abort();
  watching = null;
  next = null;
}

export function checkAlive() {
  if (watching && performance.now() - heardAt > DEAD_AFTER) watch();
}

// A picture of the camera belongs to the results of the same number, which came just before it.
const records = new Map();
function take(parts) {
  for (const part of parts) {
    if (part.type === "application/json") {
      records.set(part.number, JSON.parse(new TextDecoder().decode(part.body)));
      if (records.size > 4) records.delete(records.keys().next().value);
    } else if (part.type === "image/jpeg") {
      next = { jpeg: part.body, record: records.get(part.number) || null, mode: view.mode };
    }
  }
  if (next) draw();
}

// Decodes one picture at a time and then the newest that came meanwhile: a slow device skips, it never lags.
const canvas = $("picture");
const pen = canvas.getContext("2d", { alpha: false });
let decoding = false;
let next = null;
async function draw() {
  if (decoding) return;
  decoding = true;
  while (next) {
    const { jpeg, record, mode } = next;
    next = null;
    try {
      const blob = new Blob([jpeg], { type: "image/jpeg" });
      const bitmap = await createImageBitmap(blob, { imageOrientation: "none" });
      if (mode === view.mode) put(bitmap, record);
      bitmap.close();
    } catch {
      // a broken picture: the next one comes
    }
  }
  decoding = false;
}

function put(bitmap, record) {
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  pen.drawImage(bitmap, 0, 0);
  view.shown = record;
  view.number = record ? record.number : 0;
  redraw();
}

// Draws what belongs over the picture that is shown, after a change of the filter or of the window too.
export function redraw() {
  if (view.mode === "browser" && view.shown) drawOverlay(canvas, view.shown);
  else clearOverlay();
}
new ResizeObserver(redraw).observe(canvas);

// What is drawn over the picture goes by the size of this one, which lies below the film.
$("video").addEventListener("resize", ({ target }) => {
  if (view.mode !== "rtc" || !target.videoWidth || canvas.width === target.videoWidth) return;
  canvas.width = target.videoWidth;
  canvas.height = target.videoHeight;
});
