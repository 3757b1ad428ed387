// The card of a model: what it is, what it was trained on, and how well it does beside its baseline.

import { h, number, table } from "./dom.js";

export function modelCard(card) {
  const core = Object.entries(card.core).map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`).join(", ");
  const words = Object.entries(card.vocabulary).map(([name, size]) => `${name} ${number(size)}`).join(", ");
  const rows = [
    ["Task", card.task], ["Core", core], ["Parameters", number(card.parameters)], ["Symbols", words], ["Data", card.data],
    ["Seed", card.trained.seed], ["Epochs", card.trained.epochs && number(card.trained.epochs)], ["Minutes", minutes(card.trained.minutes)],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  const node = h("div", {}, h("dl", {}, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])));
  if (card.scores.length) {
    const metrics = Object.keys(card.scores[0].metrics);
    const body = card.scores.map(row => [row.name, ...metrics.map(name => number(row.metrics[name]))]);
    node.append(h("h3", {}, `Scores on its ${card.scores[0].part === "test" ? "test" : "validation"}`), table(["", ...metrics.map(name => name.replaceAll("_", " "))], body, 0));
  }
  for (const command of card.trained.commands ?? []) node.append(h("details", {}, h("summary", {}, "Trained by"), h("code", {}, command)));
  return node;
}

function minutes(spent) {
  return spent && typeof spent === "object" ? number(spent.training) : spent && number(spent);
}
