// Elements from what they are made of. Text is always set as text, never read as markup.

const SVG = "http://www.w3.org/2000/svg";
const MARKS = { " ": "␣", "\n": "⏎", "\t": "⇥" };

export const byId = name => document.getElementById(name);

export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) element.style.setProperty(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

// A symbol with what is not printed seen.
export function visible(symbol) {
  if (symbol in MARKS) return MARKS[symbol];
  const seen = symbol.replace(/^▁/, "␣").replace(/[\n\t]/g, c => MARKS[c]);
  return seen.replace(/[\p{Cc}\p{Cf}]/gu, c => "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")) || "∅";
}

export function cut(symbol, most = 12) {
  const seen = [...visible(symbol)];
  return seen.length <= most ? seen.join("") : seen.slice(0, most - 1).join("") + "…";
}

// The direction a text is read in, by its first letter; `dir="auto"` does not look into <bdi>.
export function direction(text) {
  return /^\P{L}*[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(text) ? "rtl" : "ltr";
}

export function percent(p) {
  if (p === null || p === undefined) return "–";
  return p >= 0.9995 ? "100 %" : p < 0.0005 ? "< 0.1 %" : (100 * p).toFixed(p < 0.0995 ? 1 : 0) + " %";
}

export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return Math.abs(value) >= 1e4 || Math.abs(value) < 1e-3 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

export function table(head, rows, own = -1) {
  return h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "table" },
    h("table", {},
      h("thead", {}, h("tr", {}, head.map(name => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row, k) => h("tr", { class: k === own && "own" }, row.map(cell => h("td", {}, cell)))))));
}
