// The page's colours, read from its style sheet so that charts follow the theme.

const COLOURS = [
  "ink", "soft", "line", "grid", "card", "local", "full_tensor", "segment_means", "compute", "staging", "communication",
];

export function look() {
  const style = getComputedStyle(document.documentElement);
  const colours = Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return { ...colours, font: getComputedStyle(document.body).fontFamily };
}

/** Two colours mixed in sRGB; `share` of the first. Both are written #rrggbb. */
export function mix(first, second, share) {
  const parts = [first, second].map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
  const mixed = parts[0].map((value, index) => Math.round(value * share + parts[1][index] * (1 - share)));
  return `#${mixed.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}
