// The best plan over batch and bandwidth: blue where one board is better, another colour where a split is.

import { mix } from "./look.js";
import { chart, el, legend, swatch, text } from "./svg.js";
import { MODES, number } from "./words.js";

const MARGIN = { left: 34, top: 4, right: 12, bottom: 36 };
const STRONG_PCT = 40; // savings from here on have the full colour

export function draw(answer, width, look) {
  const { map, asked } = answer;
  const place = layout(map, width);
  const { rows, columns, cellWidth, cellHeight } = place;
  const svg = chart(width, 10, describe(answer), look);
  const cells = el("g");
  map.best.forEach((plan, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    cells.append(el("rect", {
      x: MARGIN.left + column * cellWidth + 0.5, y: MARGIN.top + (rows - 1 - row) * cellHeight + 0.5,
      width: cellWidth - 1, height: cellHeight - 1, rx: 1.5, fill: colour(map, plan, index, look), "data-cell": index,
    }));
  });
  svg.append(cells, border(map, place, look), axes(map, place, look));
  if (map.measured) svg.append(measured(map, place, look));
  svg.append(marker(map, asked, place, look));
  const shown = map.modes.filter((_, plan) => plan === 0 || map.best.includes(plan));
  const entries = shown.map((mode) => ({ label: `${MODES[mode]} best`, mark: swatch(look[mode]) }));
  if (map.measured) {
    entries.push({ label: "measured", mark: swatch("none", { stroke: look.ink, "stroke-width": 1.5, "stroke-dasharray": "3 2" }) });
  }
  const key = legend([...entries, { label: "paler: saves less", mark: swatch(mix(look.ink, look.card, 0.18)) }],
    MARGIN.left, place.bottom + MARGIN.bottom, width - MARGIN.left);
  svg.append(key.group);
  const high = key.bottom;
  svg.setAttribute("height", high);
  svg.setAttribute("viewBox", `0 0 ${width} ${high}`);
  return svg;
}

/** Where cells lie in a chart of this width. */
export function layout(map, width) {
  const [rows, columns] = [map.batches.length, map.bandwidths_mbps.length];
  const cellWidth = (width - MARGIN.left - MARGIN.right) / columns;
  const cellHeight = Math.min(28, Math.max(12.5, 200 / rows));
  return { rows, columns, cellWidth, cellHeight, bottom: MARGIN.top + rows * cellHeight };
}

/** The cell under a point of the chart, as its row and column, or null. */
export function cellAt(map, width, x, y) {
  const place = layout(map, width);
  const column = Math.floor((x - MARGIN.left) / place.cellWidth);
  const row = place.rows - 1 - Math.floor((y - MARGIN.top) / place.cellHeight);
  const inside = column >= 0 && column < place.columns && row >= 0 && row < place.rows;
  return inside ? { row, column } : null;
}

/** What a cell says, in a line. */
export function cellText({ map, asked }, { row, column }) {
  const index = row * map.bandwidths_mbps.length + column;
  const where = `Batch ${map.batches[row]}, ${map.bandwidths_mbps[column]} Mbps`;
  const best = map.best[index];
  if (best === null) return `${where}: no plan fits`;
  const outside = map.extrapolated[best][index] ? ", extrapolated" : "";
  return `${where}: ${MODES[map.modes[best]].toLowerCase()}, ${number(map.values[best][index])} ${asked.unit}${gain(map, index)}${outside}`;
}

function gain(map, index) {
  const saved = map.split_saves_pct[index];
  if (saved === null) return "";
  return saved > 0 ? `, saves ${number(saved)} %` : `, a split takes ${number(-saved)} % more`;
}

function colour(map, plan, index, look) {
  if (plan === null) return look.grid;
  const split = map.split_saves_pct[index];
  // Both ways it is the share of the loser's value that the winner saves.
  const saved = split === null ? 100 : split > 0 ? split : 100 * (1 - 1 / (1 - split / 100));
  return mix(look[map.modes[plan]], look.card, 0.14 + 0.86 * Math.min(1, saved / STRONG_PCT));
}

/** The line between cells where one board is best and cells where a split is. */
function border(map, { rows, columns, cellWidth, cellHeight }, look) {
  const splits = (row, column) => map.best[row * columns + column] > 0;
  const x = (column) => MARGIN.left + column * cellWidth;
  const y = (row) => MARGIN.top + (rows - row) * cellHeight;
  let path = "";
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      if (column + 1 < columns && splits(row, column) !== splits(row, column + 1)) path += `M${x(column + 1)} ${y(row)}V${y(row + 1)}`;
      if (row + 1 < rows && splits(row, column) !== splits(row + 1, column)) path += `M${x(column)} ${y(row + 1)}H${x(column + 1)}`;
    }
  }
  return el("path", { d: path, fill: "none", stroke: look.ink, "stroke-width": 1.75, "stroke-linecap": "square" });
}

function axes(map, { rows, columns, cellWidth, cellHeight, bottom }, look) {
  const group = el("g", { fill: look.soft, "font-size": 11 });
  map.batches.forEach((batch, row) => {
    group.append(text(MARGIN.left - 6, MARGIN.top + (rows - row - 0.5) * cellHeight + 4, batch, "end"));
  });
  let free = -Infinity;
  map.bandwidths_mbps.forEach((mbps, column) => {
    const x = MARGIN.left + (column + 0.5) * cellWidth;
    if (!/^[125]0*$/.test(String(mbps)) && mbps !== 400 || x < free) return;
    group.append(text(x, bottom + 14, mbps, "middle"));
    free = x + 27;
  });
  group.append(text(MARGIN.left + (columns * cellWidth) / 2, bottom + 29, "bandwidth, Mbps", "middle"));
  group.append(text(0, 0, "batch", "middle", { transform: `translate(9 ${MARGIN.top + (rows * cellHeight) / 2}) rotate(-90)` }));
  return group;
}

/** A frame around the cells that were measured. */
function measured(map, { rows, cellWidth, cellHeight }, look) {
  const inside = (values, [low, high]) => values.flatMap((value, at) => (value >= low && value <= high ? [at] : []));
  const [inRows, inColumns] = [inside(map.batches, map.measured.batch), inside(map.bandwidths_mbps, map.measured.bandwidth_mbps)];
  if (!inRows.length || !inColumns.length) return el("g");
  return el("rect", {
    x: MARGIN.left + inColumns[0] * cellWidth - 0.5, y: MARGIN.top + (rows - 1 - inRows.at(-1)) * cellHeight - 0.5,
    width: inColumns.length * cellWidth + 1, height: inRows.length * cellHeight + 1,
    fill: "none", stroke: look.ink, "stroke-width": 1.5, "stroke-dasharray": "4 3", "data-measured": "",
  });
}

/** The chosen point, between cells where its numbers lie between theirs. */
function marker(map, asked, { rows, cellWidth, cellHeight }, look) {
  const cx = MARGIN.left + (position(map.bandwidths_mbps, asked.bandwidth_mbps) + 0.5) * cellWidth;
  const cy = MARGIN.top + (rows - position(map.batches, asked.batch) - 0.5) * cellHeight;
  return el("g", { "data-marker": "" },
    el("circle", { cx, cy, r: 7, fill: "none", stroke: look.card, "stroke-width": 5 }),
    el("circle", { cx, cy, r: 7, fill: "none", stroke: look.ink, "stroke-width": 2.5 }),
    el("circle", { cx, cy, r: 2, fill: look.ink }));
}

function position(values, value) {
  const above = values.findIndex((each) => each >= value);
  if (above <= 0) return above === 0 ? 0 : values.length - 1;
  const [low, high] = [values[above - 1], values[above]];
  return above - 1 + Math.log(value / low) / Math.log(high / low);
}

function describe({ map, asked }) {
  const wins = map.best.filter((plan) => plan > 0).length;
  return `Map of the best plan by ${asked.objective_label}: a split is best in ${wins} of ${map.best.length} cells. `
    + `Chosen: batch ${asked.batch}, ${asked.bandwidth_mbps} Mbps.`;
}

/** The neighbour of the chosen point that an arrow key leads to. */
export function step({ map, asked }, key) {
  const next = (values, value, by) => (by > 0 ? values.find((each) => each > value) : values.findLast((each) => each < value)) ?? value;
  const by = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
  if (!by) return null;
  return {
    bandwidth: by[0] ? next(map.bandwidths_mbps, asked.bandwidth_mbps, by[0]) : asked.bandwidth_mbps,
    batch: by[1] ? next(map.batches, asked.batch, by[1]) : asked.batch,
  };
}

/** Rows for CSV: the first names the columns. */
export function table({ map, asked }) {
  const unit = asked.unit.replace(/\W+/g, "_").toLowerCase();
  const head = ["batch", "bandwidth_mbps", "best", "split_saves_pct",
    ...map.plans.map((plan) => `${plan} ${asked.objective} ${unit}`), ...map.plans.map((plan) => `${plan} extrapolated`)];
  const columns = map.bandwidths_mbps.length;
  const rows = map.best.map((plan, index) => [
    map.batches[Math.floor(index / columns)], map.bandwidths_mbps[index % columns], plan === null ? null : map.plans[plan],
    map.split_saves_pct[index], ...map.values.map((values) => values[index]), ...map.extrapolated.map((flags) => flags[index]),
  ]);
  return [head, ...rows];
}
