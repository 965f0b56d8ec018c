// Rates, times and temperature of the last ten minutes. The server keeps them, so a newcomer sees them too.
import { $, classed, element, getJson, svg, text } from "./dom.js";

const SPAN = 600; // seconds
const STEP = 2;
const WIDTH = 300;
const HEIGHT = 60;

const CHARTS = [
  { id: "rate", title: "Frames a second", unit: "FPS", digits: 1, lines: [["inference_fps", "looked at"], ["camera_fps", "camera"]] },
  { id: "time", title: "Time", unit: "ms", digits: 0, lines: [["age_ms", "picture to result"], ["inference_ms", "inference"]] },
  { id: "heat", title: "Temperature", unit: "°C", digits: 0, lines: [["temperature", "board"]] },
];

let rows = []; // objects: time and the fields
let dueAt = 0;

export async function loadHistory() {
  try {
    const { fields, rows: kept } = await getJson("api/history");
    rows = kept.map((row) => Object.fromEntries(fields.map((name, i) => [name, row[i]])));
    render();
  } catch {
    // the charts begin now
  }
}

export function addSample(record) {
  const now = performance.now();
  if (now < dueAt) return;
  dueAt = now + STEP * 1000;
  const { status } = record;
  const flows = status.state === "running" || status.state === "degraded";
  rows.push({
    time: record.time + record.age, temperature: status.temperature,
    ...Object.fromEntries(["camera_fps", "inference_fps", "inference_ms", "age_ms"].map((k) => [k, flows ? status[k] : null])),
  });
  if (rows.length > SPAN / STEP) rows.shift();
  if ($("charts").open) render();
}

export function startCharts() {
  for (const chart of CHARTS) $("chart-list").append(make(chart));
  $("charts").addEventListener("toggle", render);
}

function make(chart) {
  const figure = element("figure");
  figure.id = `chart-${chart.id}`;
  const legend = classed("span", "legend");
  chart.lines.forEach(([, name], i) => legend.append(classed("i", `line${i}`), element("span", name), element("b", "–")));
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  chart.lines.forEach((_, i) => drawing.append(svg("path", { class: `line${i}` })));
  const axis = classed("span", "axis", element("span", "10 min ago"), element("span"), element("span", "now"));
  figure.append(element("figcaption", element("strong", chart.title), legend), drawing, axis);
  return figure;
}

function render() {
  const end = rows.length ? rows[rows.length - 1].time : 0;
  for (const chart of CHARTS) {
    const figure = $(`chart-${chart.id}`);
    const values = chart.lines.map(([name]) => rows.map((row) => row[name] ?? null));
    const all = values.flat().filter((v) => v !== null);
    figure.hidden = chart.id === "heat" && !all.length;
    const top = nice(Math.max(...all, 1));
    const drawing = figure.querySelector("svg");
    const said = chart.lines.map(([, name], i) => {
      drawing.children[i].setAttribute("d", path(values[i], end, top));
      const mine = values[i].filter((v) => v !== null);
      const last = values[i][values[i].length - 1] ?? null;
      const shown = last === null ? "–" : `${last.toFixed(chart.digits)} ${chart.unit}`;
      text(figure.querySelectorAll(".legend b")[i], shown);
      if (!mine.length) return `${name}: nothing yet`;
      const bounds = [Math.min(...mine), Math.max(...mine)].map((v) => v.toFixed(chart.digits));
      return `${name}: ${shown} now, ${bounds.join(" to ")} in the last ten minutes`;
    });
    drawing.setAttribute("aria-label", `${chart.title}. ${said.join("; ")}`);
    text(figure.querySelector(".axis").children[1], `0 to ${top} ${chart.unit}`);
  }
}

// The line, broken where there is no value, and where none came for a while.
function path(values, end, top) {
  let d = "";
  let before = null;
  values.forEach((value, i) => {
    const { time } = rows[i];
    if (value !== null && time > end - SPAN - 1) {
      const x = WIDTH * (1 - (end - time) / SPAN);
      const y = HEIGHT - 1 - (HEIGHT - 4) * (value / top);
      d += `${before !== null && time - before < 5 * STEP ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      before = time;
    } else before = null;
  });
  return d;
}

// The next round number above.
export function nice(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 5, 6, 8, 10].find((n) => n * unit >= value * 0.999) * unit;
}
