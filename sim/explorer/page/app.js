// From a change of a control to the answer drawn: one request, three charts, and the address that remembers it.

import * as breakdown from "./breakdown.js";
import { Controls } from "./controls.js";
import { saveCsv, savePng } from "./export.js";
import { look } from "./look.js";
import * as map from "./map.js";
import * as pareto from "./pareto.js";

const CHARTS = { breakdown, map, pareto };
const byId = (id) => document.getElementById(id);
const card = (name) => document.querySelector(`[data-chart=${name}]`);
const drawing = (name) => card(name).querySelector(".drawing");

let controls;
let answer = null; // what is drawn
let waiting = null; // the request under way
let remembering = 0;

start();

async function start() {
  try {
    controls = new Controls(await getJson("api/choices"), changed);
  } catch (error) {
    refuse(error.message);
    return;
  }
  const asked = location.search.slice(1);
  controls.set({ ...controls.choices.defaults, ...Object.fromEntries(new URLSearchParams(asked)) });
  for (const name of Object.keys(CHARTS)) addExports(name);
  pointAtMap();
  followWidth();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  // What the address says is asked as it stands: if it is wrong the page says so and draws nothing.
  await ask(asked, performance.now());
  if (answer) controls.set({ bandwidth: String(answer.asked.bandwidth_mbps) }); // the address may have it with a unit
}

function changed(since) {
  const query = controls.query();
  clearTimeout(remembering); // browsers limit how often the address may change
  remembering = setTimeout(() => history.replaceState(null, "", `?${query}`), 150);
  return ask(query, since);
}

/** Ask and draw. A later question drops this one's answer. */
async function ask(query, since) {
  waiting?.abort();
  tell("asking");
  const mine = new AbortController();
  waiting = mine;
  try {
    const found = await getJson(`api/answer?${query}`, mine.signal);
    if (waiting !== mine) return;
    answer = found;
    accept();
    drawAll();
    measure(since, mine);
  } catch (error) {
    if (error.name !== "AbortError" && waiting === mine) refuse(error.message);
  }
}

async function getJson(path, signal) {
  let reply;
  try {
    reply = await fetch(path, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("Prism no longer answers; start `prism explore` again and open the address that it prints");
  }
  const found = await reply.json();
  if (!reply.ok) throw new Error(found.error);
  return found;
}

function accept() {
  byId("error").hidden = true;
  controls.blame(null);
  controls.understood(answer.asked);
  const { verdict, sentence, detail, extrapolated } = answer.headline;
  byId("headline").hidden = false;
  byId("headline").dataset.verdict = verdict;
  setText("sentence", sentence.replace(/ (?=%|=)|(?<==) /g, "\u00a0")); // no line begins with a sign
  setText("detail", detail);
  setText("trust", trust(answer));
  byId("trust").classList.toggle("outside", extrapolated.length > 0);
  for (const node of document.querySelectorAll(".drawing, .headline")) node.classList.remove("stale");
  for (const node of document.querySelectorAll(".export button")) node.disabled = false;
}

/** `asking`, `drawn` or `refused`: what there is to see is not yet, or is, the answer to what the controls say. */
function tell(state) {
  document.documentElement.dataset.state = state;
}

/** Show why there is no answer; an earlier one stays, faint, as it is not to this question. */
function refuse(line) {
  tell("refused");
  byId("error").hidden = false;
  setText("error", line);
  controls?.blame(line);
  byId("headline").hidden = answer === null;
  for (const node of document.querySelectorAll(".drawing, .headline")) node.classList.add("stale");
  for (const node of document.querySelectorAll(".export button")) node.disabled = true;
}

/** Text that has not changed is left alone: a screen reader would say it again. */
function setText(id, told) {
  if (byId(id).textContent !== told) byId(id).textContent = told;
}

function trust({ asked, headline }) {
  const simulated = `Simulated with profile ${asked.profile}`;
  return headline.extrapolated.length
    ? `${simulated}. Extrapolated: ${headline.extrapolated.join("; ")}.`
    : `${simulated}, inside what was measured.`;
}

function drawAll() {
  if (answer === null) return;
  const now = look();
  for (const [name, { draw }] of Object.entries(CHARTS)) {
    const width = Math.floor(drawing(name).clientWidth);
    drawing(name).replaceChildren(draw(answer, width, now));
  }
  setText("readout", chosenCell());
  const chosen = answer.pareto.find((point) => point.chosen);
  setText("pareto-readout", chosen ? pareto.told(chosen) : "");
}

/** Draw again when the charts get another width; their height follows from drawing. */
function followWidth() {
  const area = document.querySelector(".charts");
  let width = area.clientWidth;
  const observer = new ResizeObserver(() => {
    if (area.clientWidth === width) return;
    width = area.clientWidth;
    requestAnimationFrame(drawAll);
  });
  observer.observe(area);
}

/** From the change to the frame that shows it, for tests/benchmarks/explorer.py to read. */
function measure(since, mine) {
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      performance.clearMeasures("redraw");
      performance.measure("redraw", { start: since, end: performance.now() });
      if (waiting === mine) tell("drawn");
      port1.close();
    };
    port2.postMessage(null); // comes after the frame is painted
  });
}

function chosenCell() {
  const { asked, map: cells } = answer;
  const at = (values, value) => values.indexOf(value);
  const cell = { row: at(cells.batches, asked.batch), column: at(cells.bandwidths_mbps, asked.bandwidth_mbps) };
  return cell.row < 0 || cell.column < 0 ? "Point at a cell to read it." : map.cellText(answer, cell);
}

function pointAtMap() {
  const area = drawing("map");
  const cell = (event) => {
    const box = area.getBoundingClientRect();
    return answer && map.cellAt(answer.map, Math.floor(area.clientWidth), event.clientX - box.left, event.clientY - box.top);
  };
  const move = (batch, bandwidth, since) => {
    controls.set({ batch: String(batch), bandwidth: String(bandwidth) });
    changed(since);
  };
  area.addEventListener("click", (event) => {
    const found = cell(event);
    if (found) move(answer.map.batches[found.row], answer.map.bandwidths_mbps[found.column], event.timeStamp);
  });
  area.addEventListener("pointermove", (event) => {
    const found = cell(event);
    if (found) setText("readout", map.cellText(answer, found));
  });
  area.addEventListener("pointerleave", () => answer && setText("readout", chosenCell()));
  area.addEventListener("keydown", (event) => {
    const next = answer && map.step(answer, event.key);
    if (!next) return;
    event.preventDefault();
    move(next.batch, next.bandwidth, event.timeStamp);
  });
}

function addExports(name) {
  const title = card(name).querySelector("h2").textContent;
  const button = (label, act) => {
    const node = Object.assign(document.createElement("button"), { type: "button", textContent: label, disabled: true });
    node.setAttribute("aria-label", `Save "${title}" as ${label}`);
    node.addEventListener("click", act);
    return node;
  };
  card(name).querySelector(".export").append(
    button("PNG", () => savePng(`prism-${name}.png`, drawing(name).firstChild, title, notes(), look())),
    button("CSV", () => saveCsv(`prism-${name}.csv`, CHARTS[name].table(answer))),
  );
}

function notes() {
  const { asked } = answer;
  const setting = `${asked.model}, batch ${asked.batch}, ${asked.bandwidth_mbps} Mbps, ${asked.boards} boards, L = ${asked.segments} `
    + `(CR ${asked.compression_rate.toPrecision(4)}), least ${asked.objective_label.toLowerCase()}`;
  return [setting, trust(answer)];
}
