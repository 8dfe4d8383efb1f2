// A chart as a PNG of twice its size, with its title and where it comes from, and its data as CSV.

import { el, text, textWidth } from "./svg.js";

const SCALE = 2;

/** Offer a file to the browser. */
function save(name, blob) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Save rows as CSV (RFC 4180); nothing is rounded, and what is unknown stays empty. */
export function saveCsv(name, rows) {
  const cell = (value) => {
    const told = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(told) ? `"${told.replaceAll('"', '""')}"` : told;
  };
  save(name, new Blob([rows.map((row) => row.map(cell).join(",")).join("\r\n"), "\r\n"], { type: "text/csv;charset=utf-8" }));
}

/** Save a chart as a PNG: `title` above it, `notes` below. */
export async function savePng(name, svg, title, notes, look) {
  const framed = frame(svg, title, notes, look);
  const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(framed)], { type: "image/svg+xml" }));
  try {
    const picture = new Image();
    picture.src = url;
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = SCALE * framed.getAttribute("width");
    canvas.height = SCALE * framed.getAttribute("height");
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    save(name, await new Promise((resolve) => canvas.toBlob(resolve, "image/png")));
  } finally {
    URL.revokeObjectURL(url);
  }
}

function frame(svg, title, notes, look) {
  const [width, height] = ["width", "height"].map((name) => Number(svg.getAttribute(name)));
  const lines = notes.flatMap((note) => wrap(note, width));
  const [edge, top] = [16, 44];
  const size = { width: width + 2 * edge, height: height + top + 12 + 16 * lines.length + edge };
  const inner = svg.cloneNode(true);
  inner.setAttribute("x", edge);
  inner.setAttribute("y", top);
  return el("svg", { ...size, viewBox: `0 0 ${size.width} ${size.height}`, "font-family": look.font, fill: look.ink },
    el("rect", { ...size, fill: look.card }),
    text(edge, 26, title, "start", { "font-size": 15, "font-weight": 600 }),
    inner,
    ...lines.map((line, at) => text(edge, top + height + 20 + 16 * at, line, "start", { "font-size": 11, fill: look.soft })));
}

function wrap(note, width) {
  const lines = [""];
  for (const word of note.split(" ")) {
    if (lines.at(-1) && textWidth(`${lines.at(-1)} ${word}`) * 0.92 > width) lines.push(word);
    else lines[lines.length - 1] = `${lines.at(-1)} ${word}`.trim();
  }
  return lines;
}
