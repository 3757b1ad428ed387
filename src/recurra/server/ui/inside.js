// What goes on in a model while it reads one input: gradient flow, gates, units, expectations, attention.

import { heatMap, lineChart, MOST } from "./charts.js";
import { h, number, percent, table } from "./dom.js";
import { Written } from "./written.js";

const TITLES = { mutations: "What a change of a base would do", tree_reach: "How far errors reach down", gradient_flow: "Gradient flow", gates: "Gates", next_symbols: "Next symbols", alignment: "Attention of the decoder", self_attention: "Self-attention" };

const where = one => `layer ${one.layer}, ${one.direction}`;
const arrow = one => `${one.layer}${one.direction === "backwards" ? "←" : "→"}`;

export function findings(found) {
  const parts = [mutations(found.mutations), reachDown(found.tree_reach), flow(found.gradient_flow), gates(found), units(found), expected(found.next_symbols), alignment(found.alignment), heads(found.self_attention)];
  const left = Object.entries(found.left_out);
  if (left.length) {
    parts.push([h("details", {}, h("summary", {}, "What does not apply to this model"),
      h("dl", {}, left.flatMap(([key, sentence]) => [h("dt", {}, TITLES[key] ?? key), h("dd", {}, sentence)])))]);
  }
  return parts.flat().filter(Boolean);
}

function mutations(found) {
  if (!found) return [];
  const scaled = found.changes.map(row => row.slice(0, MOST).map(value => value / found.largest));
  return [
    h("h3", {}, TITLES.mutations),
    h("p", { class: "soft" }, `Each column is a base, each row what it is changed to. Orange: then the label's log-odds would be higher, blue: lower; the strongest colour is ${number(found.largest)} nats.`),
    heatMap(found.letters, found.tokens.slice(0, MOST), scaled, TITLES.mutations, { signed: true }),
    h("p", {}, found.conclusion),
  ];
}

function reachDown(found) {
  if (!found) return [];
  return [
    h("h3", {}, TITLES.tree_reach),
    h("p", { class: "soft" }, "How much of the error at the root arrives at nodes so many below it."),
    lineChart([{ name: "", values: found.shares, colour: 0 }], "nodes below the root", "share of ‖∂L/∂h‖", { log: true }),
    h("p", {}, found.conclusion),
  ];
}

function flow(found) {
  if (!found) return [];
  const rows = found.flows.map(one => [where(one), reach(one), h("span", { class: `verdict ${one.verdict.split(" ")[0]}` }, one.verdict)]);
  const lines = found.flows.map((one, k) => ({ name: where(one), values: one.mean, colour: k }));
  for (const [k, one] of found.flows.entries()) {
    if (one.bound) lines.push({ name: `bound, layer ${one.layer}`, values: one.bound, dashed: true, colour: k });
  }
  const sentences = [...new Set(found.flows.map(one => one.advice)), ...found.notes];
  return [
    h("h3", {}, TITLES.gradient_flow),
    h("p", { class: "soft" }, "How much of the error of one step arrives so many steps before it."),
    lineChart(lines, "lag, steps", `‖∂L/∂${found.flows[0].state}‖`, { log: true }),
    table(["", "1 % is left after", "verdict"], rows),
    ...sentences.map(sentence => h("p", { class: "soft" }, sentence)),
  ];
}

function reach(one) {
  if (!one.mean.some(value => value > 0)) return "–";
  return one.horizon === null ? `more than ${one.mean.length - 1} steps` : `${one.horizon} steps`;
}

function gates(found) {
  if (!found.gates) return [];
  const gated = found.gates.gates.filter(gate => gate.shut !== null);
  const kept = found.gates.kept.map(one => h("p", { class: "soft" }, `${where(one)}: half of the units keep ${one.state} for ${one.median === null ? "ever" : `${number(one.median)} steps`} or longer.`));
  if (!gated.length) return kept.length ? [h("h3", {}, TITLES.gates), ...kept] : [];
  const rows = gated.map(gate => [where(gate), gate.name, percent(gate.shut), percent(gate.open), gate.mean.toFixed(2)]);
  const names = gated.map(gate => `${arrow(gate)} ${gate.name}`);
  return [
    h("h3", {}, TITLES.gates),
    h("p", { class: "soft" }, "The mean of each gate over its units, at every symbol: 0 is shut, 1 is open."),
    heatMap(names, found.tokens.slice(0, MOST), gated.map(gate => gate.over_text.slice(0, MOST)), "Mean of each gate at every symbol"),
    h("details", {}, h("summary", {}, "How often gates are shut or open"), table(["", "gate", "under 0.1", "over 0.9", "mean"], rows)),
    ...kept,
  ];
}

function units(found) {
  if (!found.units.length) return [];
  const names = found.units.map(unit => `${arrow(unit)} ${unit.state} ${unit.unit}`);
  const scaled = found.units.map(unit => {
    const most = Math.max(...unit.values.map(Math.abs)) || 1;
    return unit.values.slice(0, MOST).map(value => value / most);
  });
  return [
    h("h3", {}, "Units that change most"),
    h("p", { class: "soft" }, "The state after each symbol, over its largest: orange above 0, blue below."),
    heatMap(names, found.tokens.slice(0, MOST), scaled, "States of single units at every symbol", { signed: true }),
  ];
}

function expected(places) {
  if (!places?.length) return [];
  const view = new Written("", "The stronger the colour, the less it was expected. Point at a symbol, or go with the arrow keys.");
  const words = places.some(place => [...place.symbol].length > 1);
  for (const place of places) view.add({ ...place, text: words ? `${place.symbol} ` : place.symbol });
  return [h("h3", {}, TITLES.next_symbols), view.node];
}

function alignment(found) {
  if (!found) return [];
  return [
    h("h3", {}, TITLES.alignment),
    h("p", { class: "soft" }, `Rows are written, columns read${found.own_answer ? "; the target is the model's likeliest, symbol by symbol" : ""}. Largest weight ${found.largest.toFixed(2)} on average.`),
    map(found, TITLES.alignment),
  ];
}

function heads(found) {
  if (!found?.length) return [];
  return [h("h3", {}, TITLES.self_attention), ...found.map((head, k) =>
    h("details", { open: k === 0 }, h("summary", {}, `layer ${head.layer}, head ${head.head}`), map(head.map ?? head, `Layer ${head.layer}, head ${head.head}`)))];
}

function map(found, named) {
  return heatMap(found.rows.slice(0, MOST), found.columns.slice(0, MOST), found.weights.slice(0, MOST).map(row => row.slice(0, MOST)), named);
}
