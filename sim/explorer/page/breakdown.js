// Stacked bars: compute, staging, transfer and waiting of every board, and the energy beside them.

import { chart, el, legend, linear, swatch, text, textWidth, ticks } from "./svg.js";
import { change, figure, number, planName } from "./words.js";

const STAGES = [
  ["compute_ms", "compute", "compute"],
  ["staging_ms", "staging", "staging"],
  ["transfer_ms", "communication", "communication: transfer"],
  ["waiting_ms", "waiting", "communication: waiting"],
];
const [LABEL, TERMINAL, WORKER, GAP, SPACE] = [19, 22, 7, 2, 13];
const ENERGY = 0.27; // share of the width

export function draw(answer, width, look) {
  const { asked, breakdown } = answer;
  const aside = width > 620 && breakdown.some((bar) => bar.all_boards_j !== null);
  const main = aside ? width * (1 - ENERGY) - 24 : width;
  const told = breakdown.map((bar) => `${planName(bar.mode, bar.segments)} ${number(bar.total_ms)} ms`).join(", ");
  const svg = chart(width, 10, `Time of a batch by stage: ${told}`, look);
  svg.append(waitingPattern(look));
  const key = legend(STAGES.map(([, colour, label]) => ({ label, mark: swatch(paint(colour, look)) })), 0, 0, main);
  svg.append(key.group);
  const top = key.bottom + 8;
  const most = Math.max(...breakdown.map((bar) => bar.total_ms ?? 0), 1e-9);
  const scale = linear([0, most], [0, main - 2]);
  const bottom = top + breakdown.reduce((sum, bar) => sum + height(bar, aside), 0);
  svg.append(axis(scale, most, top, bottom, main, "ms for the batch", look));
  const joules = Math.max(...breakdown.map((bar) => bar.all_boards_j ?? 0), 1e-9);
  let y = top;
  for (const bar of breakdown) {
    svg.append(plan(bar, asked, y, main, scale, look));
    y += height(bar, aside);
    if (aside) svg.append(energy(bar, y - height(bar, aside), main + 24, width - main - 24, joules, look));
    else if (bar.terminal_j !== null) svg.append(text(0, y - SPACE, inWords(bar), "start", { fill: look.soft, "font-size": 11.5 }));
  }
  if (aside) svg.append(text(main + 24, top - 14, "J for the batch", "start", { fill: look.soft }));
  const total = bottom + 14;
  svg.setAttribute("height", total);
  svg.setAttribute("viewBox", `0 0 ${width} ${total}`);
  return svg;
}

const height = (bar, aside) =>
  LABEL + TERMINAL + Math.max(0, bar.boards.length - 1) * (WORKER + GAP) + (aside || bar.terminal_j === null ? 0 : 17) + SPACE;

const inWords = (bar) => `${figure(bar.terminal_j)} J terminal device, ${figure(bar.all_boards_j)} J all boards`;

const paint = (stage, look) => (stage === "waiting" ? "url(#waiting)" : look[stage]);

function waitingPattern(look) {
  return el("defs", {}, el("pattern", { id: "waiting", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    el("rect", { width: 5, height: 5, fill: look.card }),
    el("rect", { width: 2.6, height: 5, fill: look.communication })));
}

function axis(scale, most, top, bottom, width, unit, look) {
  const group = el("g", { fill: look.soft, "font-size": 11 });
  for (const tick of ticks(0, most, Math.max(3, width / 110))) {
    const x = scale(tick);
    group.append(el("line", { x1: x, x2: x, y1: top, y2: bottom - 4, stroke: look.grid }));
    const fits = x + 12 < width - textWidth(unit);
    if (fits) group.append(text(Math.max(x, 3), bottom + 10, number(tick), tick ? "middle" : "start"));
  }
  group.append(text(width, bottom + 10, unit, "end"));
  return group;
}

function plan(bar, asked, y, width, scale, look) {
  const group = el("g", { "data-plan": bar.plan });
  const name = planName(bar.mode, bar.segments);
  group.append(el("circle", { cx: 5, cy: y + 9, r: 4.5, fill: look[bar.mode] }));
  group.append(text(15, y + 13, name, "start", { "font-weight": 600 }));
  if (bar.refusal) {
    group.append(text(0, y + LABEL + 15, `Does not fit: ${bar.refusal}`, "start", { fill: look.soft }));
    return group;
  }
  const versus = bar.mode === "local" ? "" : `${change(bar.change_pct)}${asked.objective === "latency" ? "" : ` in ${asked.unit}`}`;
  const totals = el("text", { x: width, y: y + 13, "text-anchor": "end" },
    el("tspan", { fill: look.soft }, width > 480 ? `${who(bar)}\u2003` : ""),
    el("tspan", { "font-weight": 600 }, `${number(bar.total_ms)} ms`),
    el("tspan", { fill: look.soft }, versus && `\u2002${versus}`));
  group.append(totals);
  bar.boards.forEach((board, rank) => {
    const top = y + LABEL + (rank ? TERMINAL + GAP + (rank - 1) * (WORKER + GAP) : 0);
    group.append(stack(board, rank, top, rank ? WORKER : TERMINAL, scale, look));
  });
  return group;
}

function stack(board, rank, top, high, scale, look) {
  const group = el("g", { "data-rank": rank });
  let before = 0;
  for (const [field, colour, label] of STAGES) {
    const [start, end] = [scale(before), scale(before + board[field])];
    before += board[field];
    if (end - start < 0.05) continue;
    const box = el("rect", { x: start, y: top, width: Math.max(0, end - start - 0.75), height: high, fill: paint(colour, look), "data-stage": field });
    if (colour === "waiting") box.setAttribute("stroke", look.communication);
    box.append(el("title", {}, `${rank ? `board ${rank}` : "terminal device"}: ${label} ${number(board[field])} ms`));
    group.append(box);
  }
  return group;
}

/** Who waits the longest; boards whose waiting rounds to nothing wait for nobody. */
function who(bar) {
  const waits = bar.boards.map((board) => board.waiting_ms);
  const longest = Math.max(...waits);
  if (bar.boards.length < 2 || longest < 0.05) return "";
  const rank = waits.indexOf(longest);
  return `${rank ? `board ${rank}` : "terminal device"} waits ${Number(longest.toPrecision(2))} ms`;
}

function energy(bar, y, left, width, most, look) {
  const group = el("g");
  if (bar.refusal || bar.all_boards_j === null) return group;
  const scale = linear([0, most], [0, Math.max(20, width - 122)]);
  [["terminal_j", "terminal device", 0.95], ["all_boards_j", "all boards", 0.5]].forEach(([field, label, opacity], row) => {
    const [top, end] = [y + LABEL - 6 + row * 17, left + scale(bar[field])];
    group.append(el("rect", { x: left, y: top, width: Math.max(1, end - left), height: 12, fill: look[bar.mode], "fill-opacity": opacity }));
    const line = el("text", { x: end + 6, y: top + 10.5, "font-size": 11.5 }, el("tspan", { "font-weight": 600 }, figure(bar[field])), el("tspan", { fill: look.soft }, `\u2002${label}`));
    group.append(line);
  });
  return group;
}

/** Rows for CSV: the first names the columns. */
export function table(answer) {
  const head = ["plan", "rank", "compute_ms", "staging_ms", "transfer_ms", "waiting_ms", "communication_ms", "total_ms",
    "terminal_j", "all_boards_j", "change_against_local_pct", "extrapolated"];
  const rows = answer.breakdown.flatMap((bar) => (bar.boards.length ? bar.boards : [null]).map((board, rank) => [
    bar.plan, rank, ...STAGES.map(([field]) => board?.[field]), board && board.transfer_ms + board.waiting_ms,
    bar.total_ms, bar.terminal_j, bar.all_boards_j, bar.change_pct,
    [...bar.extrapolated, ...(bar.refusal ? [bar.refusal] : [])].join("; "),
  ]));
  return [head, ...rows];
}
