// Latency against energy, with compression as the third: plans that nothing beats in all three are filled and joined.

import { mix } from "./look.js";
import { chart, el, legend, logarithmic, logTicks, text, textWidth } from "./svg.js";
import { figure, number, planName } from "./words.js";

const MARGIN = { left: 42, top: 14, right: 14, bottom: 36 };
const PLOT = 204;

export function draw(answer, width, look) {
  const { asked, pareto } = answer;
  const points = pareto.filter((point) => point.energy_j !== null);
  const svg = chart(width, 10, describe(answer), look);
  const key = points.length ? plot(svg, points, asked, width, look) : { bottom: 40 };
  if (!points.length) svg.append(text(0, 24, "The profile knows no power: there is no energy to trade.", "start", { fill: look.soft }));
  svg.setAttribute("height", key.bottom);
  svg.setAttribute("viewBox", `0 0 ${width} ${key.bottom}`);
  return svg;
}

function plot(svg, points, asked, width, look) {
  const bottom = MARGIN.top + PLOT;
  const [xs, ys] = [points.map((point) => point.total_ms), points.map((point) => point.energy_j)];
  const x = logarithmic(padded(xs), [MARGIN.left, width - MARGIN.right]);
  const y = logarithmic(padded(ys), [bottom, MARGIN.top]);
  svg.append(axes(padded(xs), padded(ys), x, y, width, bottom, asked, look));
  const front = points.filter((point) => point.efficient).sort((one, other) => one.total_ms - other.total_ms || one.energy_j - other.energy_j);
  const line = front.map((point, at) => `${at ? "L" : "M"}${x(point.total_ms)} ${y(point.energy_j)}`).join("");
  svg.append(el("path", { d: line, fill: "none", stroke: look.soft, "stroke-width": 1.5, "stroke-dasharray": "1 4", "stroke-linecap": "round" }));
  const strength = shade(points);
  const spots = el("g");
  for (const point of [...points].sort((one, other) => one.chosen - other.chosen)) spots.append(spot(point, x(point.total_ms), y(point.energy_j), strength, look));
  svg.append(spots, labels(points, x, y, width, look));
  const key = legend(entries(points, strength, look), MARGIN.left, bottom + MARGIN.bottom, width - MARGIN.left);
  svg.append(key.group);
  return key;
}

function padded(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = 1.12 * (most / least) ** 0.06;
  return [least / room, most * room];
}

function axes(xDomain, yDomain, x, y, width, bottom, asked, look) {
  const group = el("g", { fill: look.soft, "font-size": 11 });
  for (const tick of logTicks(...xDomain, x, 42)) {
    group.append(el("line", { x1: x(tick), x2: x(tick), y1: MARGIN.top, y2: bottom, stroke: look.grid }), text(x(tick), bottom + 14, number(tick), "middle"));
  }
  for (const tick of logTicks(...yDomain, y, 22)) {
    group.append(el("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(tick), y2: y(tick), stroke: look.grid }), text(MARGIN.left - 6, y(tick) + 4, number(tick), "end"));
  }
  group.append(text((MARGIN.left + width - MARGIN.right) / 2, bottom + 29, "ms for the batch", "middle"));
  group.append(text(0, 0, `J, ${asked.energy_of}`, "middle", { transform: `translate(9 ${(MARGIN.top + bottom) / 2}) rotate(-90)` }));
  return group;
}

/** From CR to how full the colour is, on a logarithmic scale over the Segment Means drawn. */
function shade(points) {
  const rates = points.filter((point) => point.segments !== null).map((point) => Math.log(point.compression_rate));
  const [least, most] = [Math.min(...rates), Math.max(...rates)];
  return (rate) => 0.25 + 0.75 * (most > least ? (Math.log(rate) - least) / (most - least) : 1);
}

function spot(point, cx, cy, strength, look) {
  const hue = look[point.mode];
  const inner = point.segments === null ? hue : mix(hue, look.card, strength(point.compression_rate));
  const looks = { fill: point.efficient ? inner : look.card, stroke: hue, "stroke-width": 1.75 };
  const group = el("g", { "data-point": point.plan },
    shape(point.mode, cx, cy, looks),
    el("title", {}, told(point)));
  if (point.chosen) group.append(el("circle", { cx, cy, r: 10, fill: "none", stroke: look.ink, "stroke-width": 2 }));
  return group;
}

/** A shape a mode, so that no plan is told by its colour alone. */
function shape(mode, x, y, looks) {
  if (mode === "local") return el("rect", { x: x - 5.5, y: y - 5.5, width: 11, height: 11, rx: 1.5, ...looks });
  if (mode === "full_tensor") return el("path", { d: `M${x} ${y - 7.5}L${x + 7.5} ${y}L${x} ${y + 7.5}L${x - 7.5} ${y}Z`, ...looks });
  return el("circle", { cx: x, cy: y, r: 5.5, ...looks });
}

/** Names of the plans, and of the ends of the row of Segment Means, where they hide nothing. */
function labels(points, x, y, width, look) {
  const group = el("g", { "font-size": 11.5 });
  const means = points.filter((point) => point.segments !== null);
  const named = points.filter((point) => point.segments === null || point.chosen || point === means[0] || point === means.at(-1));
  const taken = points.map((point) => around(x(point.total_ms), y(point.energy_j), 7));
  for (const point of named.sort((one, other) => other.chosen - one.chosen)) {
    const name = point.segments === null ? planName(point.mode) : `L = ${point.segments}`;
    const [px, py, away] = [x(point.total_ms), y(point.energy_j), point.chosen ? 15 : 12];
    const long = textWidth(name);
    const spots = [[px + away, py + 4, "start", px + away], [px - away, py + 4, "end", px - away - long],
      [px, py - away - 1, "middle", px - long / 2], [px, py + away + 9, "middle", px - long / 2]];
    const free = spots.find(([, at, , left]) => {
      const box = [left, at - 10, left + long, at + 2];
      return left > MARGIN.left && left + long < width && !taken.some((other) => overlap(box, other));
    });
    if (!free && !point.chosen) continue;
    const [at, base, anchor, left] = free ?? spots[2];
    taken.push([left, base - 10, left + long, base + 2]);
    group.append(text(at, base, name, anchor, point.chosen ? { "font-weight": 600 } : { fill: look.soft }));
  }
  return group;
}

const around = (x, y, reach) => [x - reach, y - reach, x + reach, y + reach];

const overlap = (one, other) => one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];

function entries(points, strength, look) {
  const modes = [...new Set(points.map((point) => point.mode))];
  const named = modes.map((mode) => ({ label: planName(mode), mark: (x, y) => shape(mode, x + 6, y + 6, { fill: look[mode], stroke: look[mode] }) }));
  const rates = points.filter((point) => point.segments !== null).map((point) => point.compression_rate);
  if (!rates.length) return named;
  const ramp = { label: `CR ${number(Math.min(...rates))} (pale) to ${number(Math.max(...rates))}`, mark: swatchRamp(strength, rates, look) };
  const beaten = { label: "beaten", mark: (x, y) => shape("segment_means", x + 6, y + 6, { fill: look.card, stroke: look.soft, "stroke-width": 1.75 }) };
  return [...named, ramp, ...(points.some((point) => !point.efficient) ? [beaten] : [])];
}

const swatchRamp = (strength, rates, look) => (x, y) =>
  el("g", {}, ...[Math.min(...rates), Math.sqrt(Math.min(...rates) * Math.max(...rates)), Math.max(...rates)].map((rate, at) =>
    el("rect", { x: x + at * 4, y, width: 4, height: 12, fill: mix(look.segment_means, look.card, strength(rate)) })));

/** What a point says, in a line. */
export function told(point) {
  const rate = point.segments === null ? "" : ` (CR ${number(point.compression_rate)})`;
  const joules = point.energy_j === null ? "" : `, ${figure(point.energy_j)} J`;
  const outside = point.extrapolated ? ", extrapolated" : "";
  return `${planName(point.mode, point.segments)}${rate}: ${number(point.total_ms)} ms${joules}${outside}`;
}

function describe({ pareto, asked }) {
  const front = pareto.filter((point) => point.efficient).length;
  return `Latency against energy (${asked.energy_of}) of ${pareto.length} plans, ${front} of them beaten by none in latency, energy and compression.`;
}

/** Rows for CSV: the first names the columns. */
export function table({ pareto, asked }) {
  const head = ["plan", "compression_rate", "total_ms", `energy_j (${asked.energy_of})`, "efficient", "chosen", "extrapolated"];
  return [head, ...pareto.map((point) => [point.plan, point.compression_rate, point.total_ms, point.energy_j, point.efficient, point.chosen, point.extrapolated])];
}
