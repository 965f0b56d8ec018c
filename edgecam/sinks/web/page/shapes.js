// Geometry of what is drawn over the picture. Points are parts of it, 0 to 1.

const round = (v) => Math.round(Math.min(1, Math.max(0, v)) * 10000) / 10000;

// Points moved together, as far as the picture goes.
export function moved(points, dx, dy) {
  const [xs, ys] = [points.map((p) => p[0]), points.map((p) => p[1])];
  const x = Math.min(1 - Math.max(...xs), Math.max(-Math.min(...xs), dx));
  const y = Math.min(1 - Math.max(...ys), Math.max(-Math.min(...ys), dy));
  return points.map((p) => [round(p[0] + x), round(p[1] + y)]);
}

export function shifted([x, y], key, step) {
  const dx = { ArrowLeft: -step, ArrowRight: step }[key] || 0;
  const dy = { ArrowUp: -step, ArrowDown: step }[key] || 0;
  return [round(x + dx), round(y + dy)];
}

// Where in a polygon a point goes: into the side that is nearest.
export function insertAt(points, point) {
  const far = points.map((a, i) => distance(point, a, points[(i + 1) % points.length]));
  return far.indexOf(Math.min(...far)) + 1;
}

function distance([px, py], [ax, ay], [bx, by]) {
  const [dx, dy] = [bx - ax, by - ay];
  const along = dx || dy ? ((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy) : 0;
  const t = Math.min(1, Math.max(0, along));
  return Math.hypot(px - ax - t * dx, py - ay - t * dy);
}

// From the middle of a line to its "in" side (to the right of who walks along it), with a tip.
export function arrowPoints([a, b], length) {
  const long = Math.max(1, Math.hypot(b[0] - a[0], b[1] - a[1]));
  const along = [(b[0] - a[0]) / long, (b[1] - a[1]) / long];
  const across = [-along[1], along[0]];
  const middle = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const at = (far, side) => [0, 1].map((i) => middle[i] + across[i] * far * length + along[i] * side * length);
  return [middle, at(1, 0), at(0.65, 0.3), at(1, 0), at(0.65, -0.3)];
}
