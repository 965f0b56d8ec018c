// Zones, lines and masks drawn over the picture, with the mouse, a finger or the keyboard, and saved with the rules.
import { $, button, classed, color, element, getJson, svg, text } from "./dom.js";
import { placeOf } from "./overlay.js";
import { Rules } from "./rules.js";
import { arrowPoints, insertAt, moved, shifted } from "./shapes.js";

const KINDS = { zone: "Zone", line: "Line", mask: "Mask" };
const NEW = {
  zone: [[0.35, 0.35], [0.65, 0.35], [0.65, 0.7], [0.35, 0.7]],
  mask: [[0.4, 0.1], [0.6, 0.1], [0.6, 0.35], [0.4, 0.35]],
  line: [[0.25, 0.6], [0.75, 0.6]],
};

const layer = $("layer");
const panel = $("editor");
const canvas = $("picture");
let settings = null; // what the file holds, and what a change must show
let shapes = []; // { kind, name, points, ... }
let chosen = -1;
let list, message, rules;

export async function openEditor() {
  if (!panel.hidden) return closeEditor();
  try {
    settings = await getJson("api/settings");
  } catch (error) {
    say(`Cannot be edited: ${error.message}`);
    return;
  }
  shapes = Object.keys(KINDS).flatMap((kind) => settings[kind].map((entry) => ({ kind, ...structuredClone(entry) })));
  chosen = shapes.length ? 0 : -1;
  document.body.dataset.editing = "yes";
  $("edit").setAttribute("aria-expanded", "true");
  layer.hidden = panel.hidden = false;
  build();
  render();
  panel.querySelector("button").focus();
}

function closeEditor() {
  layer.hidden = panel.hidden = true;
  delete document.body.dataset.editing;
  $("edit").setAttribute("aria-expanded", "false");
  $("edit").focus();
}

function say(words) {
  text("said", words);
  $("said").className = "note";
  setTimeout(() => { if ($("said").textContent === words) text("said", ""); }, 15000);
}

// ---- the panel

function build() {
  const title = element("h2", "Zones, lines, masks and rules");
  title.id = "editor-title";
  list = element("ul");
  rules = new Rules(settings.rule, settings.labels, () => shapes);
  message = classed("p", "trouble");
  message.setAttribute("role", "alert");
  panel.replaceChildren(
    title,
    classed("p", "note", "Drag corners, or reach them with Tab and move them with the arrow keys (with Shift in larger steps); Delete takes one away. "
      + "A click beside a chosen zone or mask adds a corner."),
    classed("div", "row", ...Object.entries(KINDS).map(([kind, words]) => button(`Add ${words.toLowerCase()}`, () => add(kind), "plain"))),
    list, rules.node, message,
    classed("div", "row", button("Save", save, "plain primary"), button("Cancel", closeEditor, "plain"),
      classed("span", "note", `Save writes to ${settings.file}`)));
}

function add(kind) {
  const names = new Set(shapes.filter((s) => s.kind === kind).map((s) => s.name));
  let number = 1;
  while (names.has(`${kind} ${number}`)) number += 1;
  shapes.push({ kind, name: `${kind} ${number}`, points: structuredClone(NEW[kind]) });
  rules.render();
  choose(shapes.length - 1);
  layer.querySelector("button")?.focus();
}

function choose(index) {
  chosen = index;
  render();
}

function remove(index) {
  shapes.splice(index, 1);
  rules.render();
  choose(Math.min(chosen, shapes.length - 1));
  panel.querySelector("button").focus();
}

function row(shape, index) {
  const name = element("input");
  Object.assign(name, { type: "text", value: shape.name, maxLength: 60, dir: "auto" });
  name.setAttribute("aria-label", `Name of ${KINDS[shape.kind].toLowerCase()} ${index + 1}`);
  name.addEventListener("input", () => {
    const before = shape.name;
    shape.name = name.value;
    rules.renamed(shape.kind, before, shape.name);
    draw();
  });
  name.addEventListener("focus", () => { if (chosen !== index) { chosen = index; mark(); draw(); } });
  const node = element("li", classed("span", "kind", KINDS[shape.kind]), name);
  if (shape.kind === "mask") node.append(...maskOptions(shape));
  if (shape.kind === "line") node.append(button("Turn round", () => { shape.points.reverse(); draw(); }, "plain"));
  else node.append(button("Add corner", () => { chosen = index; insert(shape, middle(shape)); }, "plain"));
  const away = button("Remove", () => remove(index), "plain");
  away.setAttribute("aria-label", `Remove ${shape.name}`);
  node.append(away);
  node.style.setProperty("--class", tint(index));
  return node;
}

function maskOptions(shape) {
  const fill = element("select", new Option("one colour", "solid"), new Option("coarse squares", "pixelate"));
  fill.value = shape.fill || "solid";
  fill.setAttribute("aria-label", `How ${shape.name} is covered`);
  fill.addEventListener("change", () => { shape.fill = fill.value; });
  const model = element("input");
  Object.assign(model, { type: "checkbox", checked: Boolean(shape.model) });
  model.addEventListener("change", () => { shape.model = model.checked; });
  return [fill, element("label", model, "from the model too")];
}

function mark() {
  [...list.children].forEach((node, i) => node.classList.toggle("chosen", i === chosen));
}

function render() {
  list.replaceChildren(...shapes.map(row));
  mark();
  draw();
}

// ---- the layer over the picture

function tint(index) {
  const { kind } = shapes[index];
  const number = shapes.slice(0, index).filter((s) => s.kind === kind).length;
  return kind === "mask" ? "#fff" : color(7 * number + (kind === "zone" ? 3 : 5));
}

function draw() {
  if (layer.hidden) return;
  const place = placeOf(canvas);
  for (const [key, value] of [["left", place.x], ["top", place.y], ["width", place.width], ["height", place.height]]) {
    layer.style[key] = `${value}px`;
  }
  const held = document.activeElement?.dataset.corner;
  const drawing = svg("svg", { viewBox: `0 0 ${place.width} ${place.height}`, "aria-hidden": "true" });
  shapes.forEach((shape, i) => drawing.append(...figures(shape, i, place)));
  const corners = chosen < 0 ? [] : shapes[chosen].points.map((_, i) => corner(shapes[chosen], i));
  layer.replaceChildren(drawing, ...corners);
  if (held !== undefined) layer.querySelector(`[data-corner="${held}"]`)?.focus();
}
new ResizeObserver(draw).observe(canvas);

function figures(shape, index, place) {
  const pixels = shape.points.map(([x, y]) => [x * place.width, y * place.height]);
  const node = svg("polygon", { points: pixels.join(" "), class: `shape ${shape.kind}${index === chosen ? " chosen" : ""}` });
  node.style.setProperty("--class", tint(index));
  node.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    if (index !== chosen) choose(index);
    else drag(event, shape.points, (points) => { shape.points = points; });
  });
  if (shape.kind !== "line") return [node];
  const tip = svg("polyline", { points: arrowPoints(pixels, 36).join(" "), class: "arrow" });
  tip.style.setProperty("--class", tint(index));
  return [node, tip];
}

function corner(shape, number) {
  const [x, y] = shape.points[number];
  const node = button("", () => {});
  node.dataset.corner = number;
  node.style.left = `${x * 100}%`;
  node.style.top = `${y * 100}%`;
  node.setAttribute("aria-label", `Corner ${number + 1} of ${shape.name}, ${Math.round(x * 100)}% across, ${Math.round(y * 100)}% down`);
  const put = (point) => { shape.points = shape.points.with(number, point); };
  node.addEventListener("pointerdown", (event) => {
    event.stopPropagation();
    drag(event, [shape.points[number]], ([point]) => put(point));
  });
  node.addEventListener("keydown", (event) => {
    if (event.key === "Delete" || event.key === "Backspace") takeAway(shape, number);
    else if (event.key.startsWith("Arrow")) put(shifted(shape.points[number], event.key, event.shiftKey ? 0.05 : 0.01));
    else return;
    event.preventDefault();
    draw();
  });
  return node;
}

function takeAway(shape, number) {
  if (shape.points.length <= (shape.kind === "line" ? 2 : 3)) text(message, "No corner can be spared: remove the whole of it instead.");
  else shape.points = shape.points.toSpliced(number, 1);
}

// Follows the pointer until it is let go; what is drawn anew meanwhile does not lose it.
function drag(event, points, put) {
  event.preventDefault();
  event.target.focus?.();
  const { width, height } = layer.getBoundingClientRect();
  const from = [event.clientX, event.clientY];
  const move = (e) => {
    put(moved(points, (e.clientX - from[0]) / width, (e.clientY - from[1]) / height));
    draw();
  };
  const end = () => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", end);
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
}

layer.addEventListener("pointerdown", (event) => {
  const shape = shapes[chosen];
  if (!shape || shape.kind === "line") return;
  const box = layer.getBoundingClientRect();
  const point = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  const number = insert(shape, point);
  drag(event, [shape.points[number]], ([p]) => { shape.points = shape.points.with(number, p); });
});

function insert(shape, point) {
  const number = insertAt(shape.points, point);
  shape.points = shape.points.toSpliced(number, 0, moved([point], 0, 0)[0]);
  render();
  layer.querySelector(`[data-corner="${number}"]`)?.focus();
  return number;
}

function middle({ points: [a, b] }) {
  return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
}

// ---- saving

function entry({ kind, ...rest }) {
  return rest;
}

async function save() {
  const wanted = { version: settings.version };
  for (const kind of Object.keys(KINDS)) wanted[kind] = shapes.filter((s) => s.kind === kind).map(entry);
  wanted.rule = rules.values();
  text(message, "");
  try {
    const answer = await fetch("api/settings", {
      method: "PUT",
      headers: { "content-type": "application/json", "x-edgecam-secret": settings.secret },
      body: JSON.stringify(wanted),
    }).catch(() => { throw new Error("edgecam does not answer. Nothing was saved: try again in a moment."); });
    const body = await answer.json();
    if (!answer.ok && body.at && rules.blame(body.at, body.error)) return;
    if (!answer.ok) throw new Error(body.error);
    closeEditor();
    say(body.applied ? "Saved. edgecam takes the new settings now." : "Saved. edgecam takes the new settings at its next start.");
  } catch (error) {
    text(message, error.message);
  }
}
