// Fields for the options of a request, with words beside them. What is left empty is not sent.

import { h } from "./dom.js";

const FIELDS = {
  length: { name: "Length", hint: "symbols", min: 1, step: 1, usual: 300 },
  temperature: { name: "Temperature", hint: "0: always the likeliest", min: 0, max: 5, step: 0.05, usual: 0.8 },
  top_p: { name: "Top p", hint: "share of probability to draw from", min: 0.01, max: 1, step: 0.01 },
  top_k: { name: "Top k", hint: "draw among so many", min: 1, step: 1 },
  seed: { name: "Seed", hint: "empty: another each time", min: 0, step: 1 },
  top: { name: "Alternatives", hint: "shown for each", min: 1, step: 1, usual: 5 },
  beam: { name: "Beam", hint: "hypotheses kept", min: 1, step: 1 },
  n_best: { name: "Best", hint: "hypotheses shown", min: 1, step: 1 },
  length_penalty: { name: "Length penalty", hint: "0 prefers short", min: 0, max: 10, step: 0.1 },
  no_repeat: { name: "No repeat", hint: "of so many symbols", min: 0, step: 1 },
  form: { name: "Keep the form", tick: true },
};

// Asked for always, where a model has it.
const HIDDEN = ["attention", "alignment"];
const SEEKING = ["beam", "n_best", "length_penalty", "no_repeat"];

export class Options {
  constructor(place) {
    this.place = place;
  }

  // names: the options of a model, for prediction and for generation
  set(card) {
    const described = { ...card.options.generate, ...card.options.predict };
    const writes = card.continues;
    this.fields = new Map();
    this.place.replaceChildren(...Object.entries(described).filter(([name]) => !HIDDEN.includes(name)).map(([name, { default: own, most, type, help }]) => {
      const plain = { name: name.replaceAll("_", " "), hint: help, tick: type === "bool", step: type === "int" ? 1 : "any" };
      const { name: title, hint, tick, usual, ...range } = FIELDS[name] ?? plain;
      const id = `option-${name}`;
      if (tick) {
        const input = h("input", { id, type: "checkbox", checked: own });
        this.fields.set(name, input);
        return h("div", { class: "tick" }, input, h("label", { for: id }, title));
      }
      const value = own === null && (writes || (name === "top" && !("beam" in described))) ? usual : undefined;
      const input = h("input", { id, type: "number", inputmode: "decimal", ...range, max: range.max ?? most, value, placeholder: own });
      this.fields.set(name, input);
      return h("div", {}, h("label", { for: id }, title), input, hint && h("span", { class: "soft" }, hint));
    }));
  }

  // What is said of the options that `allowed` has.
  said(allowed) {
    const found = {};
    for (const [name, input] of this.fields) {
      if (!(name in allowed)) continue;
      if (input.type === "checkbox") {
        if (input.checked !== input.defaultChecked) found[name] = input.checked;
      } else if (input.value !== "") found[name] = Number(input.value);
    }
    // What is drawn at random is drawn anew each time, unless a seed is said.
    const temperature = "temperature" in allowed ? found.temperature ?? allowed.temperature.default ?? 0 : 1;
    if ("seed" in allowed && found.seed === undefined && temperature > 0 && !SEEKING.some(name => name in found)) {
      found.seed = Math.floor(Math.random() * 1e6);
    }
    return found;
  }

  // The first field whose value cannot be sent.
  wrong() {
    return [...this.fields.values()].find(input => !input.checkValidity());
  }
}
