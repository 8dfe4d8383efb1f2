// The controls, their sliders, and the query string that holds their state.

const NAMES = ["model", "batch", "bandwidth", "cr", "boards", "objective", "profile"];

const byId = (id) => document.getElementById(id);

export class Controls {
  /** `onChange(timeStamp)` is called after each change by a person. */
  constructor(choices, onChange) {
    this.choices = choices;
    this.form = byId("controls");
    fill("model", choices.models.map(({ name }) => [name, name]));
    fill("objective", choices.objectives.map(({ name, label }) => [name, label]));
    fill("profile", choices.profiles.map(({ name }) => [name, name]));
    for (const name of ["batch", "bandwidth", "boards"]) {
      [byId(name).min, byId(name).max] = choices.limits[name];
    }
    for (const name of ["batch", "boards"]) [byId(`${name}-slider`).min, byId(`${name}-slider`).max] = choices.limits[name];
    byId("bandwidth-slider").max = choices.bandwidth_stops.length - 1;
    this.form.addEventListener("input", (event) => {
      if (event.target.id.endsWith("-slider")) this.#takeFromSlider(event.target);
      this.#settle();
      onChange(event.timeStamp);
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("reset", (event) => {
      event.preventDefault();
      this.set(choices.defaults);
      onChange(event.timeStamp);
    });
  }

  /** Put values into the controls; a select keeps its own where it does not offer the value. */
  set(values) {
    for (const [name, value] of Object.entries(values)) {
      if (!NAMES.includes(name)) continue;
      const control = byId(name);
      const offered = control.tagName !== "SELECT" || [...control.options].some((option) => option.value === value);
      if (offered) control.value = value;
    }
    this.#settle();
  }

  /** The state as a query string, in a fixed order. */
  query() {
    return new URLSearchParams(NAMES.map((name) => [name, byId(name).value])).toString();
  }

  /** Mark the control that an error begins with, and no other. */
  blame(line) {
    for (const name of NAMES) byId(name).setAttribute("aria-invalid", String(line?.split(/\W/, 1)[0] === name));
  }

  /** Say what the compression rate came to. */
  understood(asked) {
    byId("cr-means").textContent =
      `L = ${asked.segments} segments a board, CR ${Number(asked.compression_rate.toPrecision(4))}`;
  }

  /** L of the largest partition, and N. */
  #tokens() {
    const { tokens } = this.choices.models.find(({ name }) => name === byId("model").value);
    const boards = Math.max(1, Number(byId("boards").value) || 2);
    return { tokens, boards, largest: Math.ceil(tokens / boards) };
  }

  #takeFromSlider(slider) {
    const name = slider.id.replace("-slider", "");
    const at = Number(slider.value);
    if (name === "bandwidth") byId(name).value = this.choices.bandwidth_stops[at];
    else if (name === "cr") {
      const { tokens, boards, largest } = this.#tokens();
      byId(name).value = Number((tokens / ((largest - at) * boards)).toPrecision(4));
    } else byId(name).value = at;
  }

  /** Move the sliders to where the numbers are, and name the profile's source. */
  #settle() {
    for (const name of ["batch", "boards"]) byId(`${name}-slider`).value = byId(name).value;
    const mbps = Number(byId("bandwidth").value);
    const stops = this.choices.bandwidth_stops;
    const nearest = stops.reduce((best, stop, at) => (apart(stop, mbps) < apart(stops[best], mbps) ? at : best), 0);
    setSlider("bandwidth", nearest, `${byId("bandwidth").value} Mbps`);
    const { tokens, boards, largest } = this.#tokens();
    byId("cr-slider").max = largest - 1;
    const segments = Math.min(largest, Math.max(1, Math.round(tokens / (Number(byId("cr").value) * boards)) || 1));
    setSlider("cr", largest - segments, `CR ${byId("cr").value}, ${segments} segments a board`);
    this.#tellSource();
  }

  #tellSource() {
    const profile = this.choices.profiles.find(({ name }) => name === byId("profile").value);
    const scope = profile.energy_scope ? ` Energy: ${profile.energy_scope}.` : "";
    byId("profile-source").textContent = `${profile.description}. Source: ${profile.source}.${scope}`;
    byId("profile-assumed").replaceChildren(
      ...profile.assumed.map((sentence) => Object.assign(document.createElement("li"), { textContent: sentence })),
    );
  }
}

function fill(id, entries) {
  byId(id).replaceChildren(...entries.map(([value, label]) => new Option(label, value)));
}

function setSlider(name, at, told) {
  const slider = byId(`${name}-slider`);
  slider.value = at;
  slider.setAttribute("aria-valuetext", told);
}

const apart = (one, other) => Math.abs(Math.log(one / (other || 1)));
