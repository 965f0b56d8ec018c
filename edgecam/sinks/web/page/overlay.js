// What is drawn over the camera's own picture: boxes, labels, ids, points, zones and lines with their counts.
import { $, color } from "./dom.js";
import { passes } from "./filter.js";
import { arrowPoints } from "./shapes.js";

export const scene = { zones: [], lines: [], rules: [], region: null };

const layer = $("overlay");
const pen = layer.getContext("2d");
const OUTLINE = "#101010";
const GROUND = "#000a";
let drawn = false;

// Where the picture lies in the element that shows it whole (object-fit: contain), in CSS pixels.
export function placeOf(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = Math.min(width / canvas.width, height / canvas.height);
  const [w, h] = [canvas.width * scale, canvas.height * scale];
  return { x: (width - w) / 2, y: (height - h) / 2, width: w, height: h, scale };
}

export function clearOverlay() {
  if (!drawn) return;
  drawn = false;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, layer.width, layer.height);
}

export function drawOverlay(canvas, record) {
  const ratio = Math.min(devicePixelRatio || 1, 3);
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (layer.width !== width || layer.height !== height) {
    layer.width = width;
    layer.height = height;
  }
  drawn = true;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, width, height);
  const place = placeOf(canvas);
  pen.setTransform(ratio, 0, 0, ratio, place.x * ratio, place.y * ratio);
  const size = Math.max(11, Math.min(18, place.height / 28));
  pen.font = `600 ${size}px system-ui, "DejaVu Sans", sans-serif`;
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  const tools = { place, size, line: size / 7 };
  drawRegion(tools);
  if (!document.body.dataset.editing) drawScene(tools, record.counts || {}); // they are in hand there
  drawDetections(tools, (record.detections || []).filter(passes), place.width / record.size[0]);
  drawClasses(tools, (record.classes || []).filter(passes));
}

// Dark below, bright above: seen on any ground.
function stroke(path, ink, width) {
  for (const [style, more] of [[OUTLINE, 2], [ink, 0]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width + more;
    pen.stroke(path);
  }
}

function outline(points, closed) {
  const path = new Path2D();
  points.forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
  if (closed) path.closePath();
  return path;
}

function plate(tools, x, y, words, ink) {
  const width = pen.measureText(words).width + tools.size * 0.7;
  const height = tools.size * 1.45;
  const left = Math.max(0, Math.min(x, tools.place.width - width));
  const top = Math.max(0, Math.min(y, tools.place.height - height));
  pen.fillStyle = GROUND;
  pen.fillRect(left, top, width, height);
  pen.fillStyle = ink;
  pen.fillRect(left, top, tools.size * 0.2, height);
  pen.fillStyle = "#fff";
  pen.fillText(words, left + tools.size * 0.45, top + height / 2);
}

function drawDetections(tools, found, scale) {
  for (const item of [...found].reverse()) { // the best last, on top
    const [x1, y1, x2, y2] = item.box.map((v) => v * scale);
    const path = new Path2D();
    path.rect(x1, y1, x2 - x1, y2 - y1);
    stroke(path, color(item.class_id), tools.line);
    for (const [x, y] of item.keypoints || []) {
      const dot = new Path2D();
      dot.arc(x * scale, y * scale, tools.line * 1.4, 0, 7);
      stroke(dot, color(item.class_id), tools.line);
    }
  }
  for (const item of [...found].reverse()) {
    const name = item.track_id > 0 ? `${item.label} ${item.track_id}` : item.label;
    const top = item.box[1] * scale - tools.size * 1.45;
    plate(tools, item.box[0] * scale, top < 0 ? item.box[1] * scale : top,
      `${name}  ${Math.round(item.score * 100)}%`, color(item.class_id));
  }
}

function drawClasses(tools, found) {
  found.slice(0, 5).forEach((item, i) => {
    plate(tools, 0, i * tools.size * 1.6, `${item.label}  ${Math.round(item.score * 100)}%`, color(item.class_id));
  });
}

function countsOf(counts, kind, name, what) {
  const found = scene.rules.filter((rule) => rule[kind] === name && counts[rule.name])
    .map((rule) => counts[rule.name][what] || 0);
  return found.length ? Math.max(...found) : null;
}

// A thin line around the part that the model looks at.
function drawRegion(tools) {
  if (!scene.region) return;
  const [left, top, right, bottom] = scene.region;
  const path = new Path2D();
  path.rect(left * tools.place.width, top * tools.place.height,
    (right - left) * tools.place.width, (bottom - top) * tools.place.height);
  stroke(path, "#c8c8c8", 1);
}

// The same colours as in the picture that the server draws: edgecam.overlay.places.
function drawScene(tools, counts) {
  const pixels = (points) => points.map(([x, y]) => [x * tools.place.width, y * tools.place.height]);
  scene.zones.forEach((zone, i) => {
    const points = pixels(zone.points);
    stroke(outline(points, true), color(7 * i + 3), tools.line);
    const corner = points.reduce((a, b) => (a[0] + a[1] <= b[0] + b[1] ? a : b));
    const now = countsOf(counts, "zone", zone.name, "now");
    plate(tools, ...corner, now === null ? zone.name : `${zone.name}  ${now}`, color(7 * i + 3));
  });
  scene.lines.forEach((line, i) => {
    const ends = pixels(line.points);
    stroke(outline(ends, false), color(7 * i + 5), tools.line);
    stroke(outline(arrowPoints(ends, tools.size * 2), false), color(7 * i + 5), tools.line);
    const ways = ["in", "out"].map((way) => [way, countsOf(counts, "line", line.name, way)]);
    const words = ways.filter(([, n]) => n !== null).map(([way, n]) => `${way} ${n}`);
    plate(tools, ...ends[0], [line.name, ...words].join("  "), color(7 * i + 5));
  });
}
