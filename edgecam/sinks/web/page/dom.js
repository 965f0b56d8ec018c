// Small helpers that every part of the page uses.

export const $ = (id) => document.getElementById(id);

export function text(id, value) {
  const node = typeof id === "string" ? $(id) : id;
  if (node.textContent !== value) node.textContent = value;
}

export function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

export function classed(name, classes, ...children) {
  const node = element(name, ...children);
  node.className = classes;
  return node;
}

// A name may be written from right to left.
export function named(name) {
  const node = element(name);
  node.dir = "auto";
  return node;
}

export function button(label, act, classes = "") {
  const node = classed("button", classes, label);
  node.type = "button";
  node.addEventListener("click", act);
  return node;
}

// Makes the list hold `items`, reusing its rows so that nothing flickers.
export function fill(list, items, make, set) {
  while (list.children.length > items.length) list.lastChild.remove();
  while (list.children.length < items.length) list.append(make());
  items.forEach((item, i) => set(list.children[i], item));
}

const SVG = "http://www.w3.org/2000/svg";
export function svg(name, attributes = {}) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

// The same colours as in the picture: edgecam.overlay.class_color.
export function color(id) {
  const hue = (210 + id * 137.507764) % 360;
  const lift = 14 * Math.max(0, Math.cos(((hue - 250) * Math.PI) / 180));
  const lightness = [60, 72, 52][Math.floor(id / 7) % 3] + lift;
  return `hsl(${hue.toFixed(2)} 90% ${lightness.toFixed(2)}%)`;
}

export async function getJson(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || `${path}: ${answer.status}`);
  return answer.json();
}

// What a viewer chose, kept in this browser; a browser that keeps nothing is no error.
export function recall(key, fallback) {
  try {
    return JSON.parse(localStorage.getItem(`edgecam.${key}`)) ?? fallback;
  } catch {
    return fallback;
  }
}

export function remember(key, value) {
  try {
    localStorage.setItem(`edgecam.${key}`, JSON.stringify(value));
  } catch {
    // private window, or storage is full
  }
}
