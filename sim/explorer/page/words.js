// Numbers and plans as people read them.

/** Three significant digits, without exponents or idle zeros. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : 3;
  return digits ? String(Number(value.toPrecision(digits))) : Math.round(value).toLocaleString("en-US");
}

/** Three significant digits, all of them: for columns of figures. */
export function figure(value) {
  return value === null || Math.abs(value) >= 100 ? number(value) : value.toPrecision(3);
}

/** A change in percent with its sign. */
export function change(percent) {
  if (percent === null) return "";
  const rounded = Math.abs(percent) >= 1 ? Math.round(percent) : Number(percent.toPrecision(1));
  return `${rounded > 0 ? "+" : rounded < 0 ? "−" : ""}${Math.abs(rounded).toLocaleString("en-US")} %`;
}

/** A plan's name from its mode. */
export const MODES = { local: "One board", full_tensor: "Full tensors", segment_means: "Segment Means" };

export function planName(mode, segments) {
  return segments === null || segments === undefined ? MODES[mode] : `${MODES[mode]}, L = ${segments}`;
}
