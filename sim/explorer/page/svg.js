// SVG elements, scales and ticks. Looks are attributes and not styles, so that an exported picture keeps them.

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element with attributes and children; strings become text. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const ruler = document.createElement("canvas").getContext("2d");

/** The root of a chart of this many CSS pixels. */
export function chart(width, height, label, look) {
  ruler.font = `12px ${look.font}`;
  return el("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label,
    "font-family": look.font, "font-size": 12, fill: look.ink,
  });
}

/** Text; `anchor` is start, middle or end. */
export function text(x, y, content, anchor = "start", attributes = {}) {
  return el("text", { x, y, "text-anchor": anchor, ...attributes }, content);
}

/** How wide text of 12 pixels is in the chart that was begun last. */
export const textWidth = (content) => ruler.measureText(content).width;

/** A function from a domain to a range, straight. */
export function linear([from, to], [start, end]) {
  return (value) => start + ((value - from) / (to - from)) * (end - start);
}

/** Likewise for the logarithm of the value. */
export function logarithmic([from, to], range) {
  const scale = linear([Math.log(from), Math.log(to)], range);
  return (value) => scale(Math.log(value));
}

/** 1, 2, 3, 5, 7 and their tenfolds from `least` to `most`, those that stand at least `apart` from the one before. */
export function logTicks(least, most, scale, apart) {
  const found = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.log10(most); power += 1) {
    for (const mantissa of [1, 2, 3, 5, 7]) {
      const tick = mantissa * 10 ** power;
      const clear = !found.length || Math.abs(scale(tick) - scale(found.at(-1))) >= apart;
      if (tick >= least && tick <= most && clear) found.push(tick);
    }
  }
  return found;
}

/** Round numbers that divide 0 to `most` into about `count` parts. */
export function ticks(least, most, count) {
  const rough = (most - least) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let n = Math.ceil(least / step); n * step <= most * (1 + 1e-9); n += 1) found.push(n * step);
  return found;
}

/** Legend entries in lines no wider than `width`; each has a `label` and a `mark(x, y)` of 12 pixels. */
export function legend(entries, left, top, width) {
  const group = el("g");
  let [x, y] = [left, top];
  for (const { label, mark } of entries) {
    const needed = 18 + textWidth(label) + 14;
    if (x > left && x + needed > left + width) [x, y] = [left, y + 18];
    group.append(mark(x, y), text(x + 18, y + 10, label));
    x += needed;
  }
  return { group, bottom: y + 18 };
}

/** A square swatch for a legend. */
export const swatch = (fill, more = {}) => (x, y) =>
  el("rect", { x, y, width: 12, height: 12, rx: 2, fill, ...more });
