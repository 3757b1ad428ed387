// Small drawings: lines over time, and maps of shades with tokens on the axes. Their colours are the style sheet's.

import { cut, h, number, s, visible } from "./dom.js";

const WIDTH = 360, HEIGHT = 220, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 34;
const DECADES = 12, CELL = 18, LETTER = 6.6;
export const MOST = 120;  // rows and columns of a map that are drawn

// lines: [{name, values, x?, dashed?, colour?}]; band: {low, high, x}; null and, on a logarithmic axis, 0 are gaps.
export function lineChart(lines, across, up, { log = false, band = null } = {}) {
  const at = line => line.x ?? line.values.map((_, k) => k);
  const tall = value => (value === null || value === undefined || (log && value <= 0) ? NaN : log ? Math.log10(value) : value);
  const heights = lines.map(line => line.values.map(tall));
  const known = [...heights.flat(), ...(band ? [...band.low, ...band.high] : [])].filter(Number.isFinite);
  if (!known.length) return h("p", { class: "soft" }, "There is nothing to draw: no value is above 0.");
  let low = Math.min(...known), high = Math.max(...known);
  if (log) low = Math.max(low, high - DECADES);
  if (high - low < 1e-9) [low, high] = [low - 0.5, high + 0.5];
  const places = lines.flatMap(at), first = Math.min(...places), last = Math.max(...places, first + 1);
  const x = v => LEFT + ((v - first) / (last - first)) * (WIDTH - LEFT - RIGHT);
  const y = v => TOP + ((high - Math.max(v, low)) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const drawn = [];
  for (const tick of ticks(low, high, log)) {
    const name = log ? tenTo(tick) : number(tick);
    drawn.push(s("path", { class: "grid", d: `M${LEFT} ${y(tick).toFixed(1)}H${WIDTH - RIGHT}` }), label(LEFT - 5, y(tick) + 4, "end", name));
  }
  for (const tick of ticks(first, last, false).filter(Number.isInteger)) drawn.push(label(x(tick), HEIGHT - BOTTOM + 15, "middle", number(tick)));
  if (band) {
    const there = band.x.map((v, k) => `${x(v).toFixed(1)} ${y(band.high[k]).toFixed(1)}`);
    const back = band.x.map((v, k) => `${x(v).toFixed(1)} ${y(band.low[k]).toFixed(1)}`).reverse();
    drawn.push(s("path", { class: "band c1", d: `M${[...there, ...back].join("L")}Z` }));
  }
  const looks = lines.map((line, k) => `c${(line.colour ?? k) % 8}${line.dashed ? " dashed" : ""}`);
  lines.forEach((line, k) => drawn.push(s("path", { class: `line ${looks[k]}`, d: path(at(line), heights[k], x, y) })));
  drawn.push(s("text", { class: "axis", x: WIDTH - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, across));
  const named = `${up} by ${across}: ${lines.map(line => line.name).join(", ")}`;
  const keys = lines.map((line, k) => h("span", { class: `key ${looks[k]}` }, line.name));
  return h("figure", {}, svg(WIDTH, HEIGHT, named, drawn), h("figcaption", {}, `${up} · `, ...keys));
}

// A shade for each weight, from 0 to 1 or, where `signed`, from −1 to 1. Arrow keys go from cell to cell.
export function heatMap(rows, columns, weights, named, { signed = false, digits = 2 } = {}) {
  const wide = text => [...text].reduce((sum, c) => sum + (c.codePointAt(0) > 0x2e7f ? 1.8 : 1), 0);
  const left = 10 + LETTER * Math.max(...rows.map(token => wide(cut(token, 24))));
  const upright = token => [...cut(token)].length === 1;
  const above = Math.max(22, 10 + LETTER * Math.max(...columns.map(token => (upright(token) ? 1 : wide(cut(token))))));
  const width = Math.ceil(left + CELL * columns.length + 4), height = Math.ceil(above + CELL * rows.length + 4);
  const drawn = rows.map((token, r) => label(left - 5, above + CELL * (r + 0.72), "end", cut(token, 24)));
  columns.forEach((token, c) => {
    const one = upright(token), x = left + CELL * (c + (one ? 0.5 : 0.72));
    const place = `translate(${x.toFixed(1)} ${above - 6}) rotate(${one ? 0 : -90})`;
    drawn.push(s("text", { transform: place, "text-anchor": one ? "middle" : "start" }, cut(token)));
  });
  drawn.push(s("rect", { class: "frame", x: left, y: above, width: CELL * columns.length, height: CELL * rows.length }));
  weights.forEach((row, r) => row.forEach((weight, c) => {
    const strength = Math.min(1, Math.abs(weight ?? 0));
    if (strength < 0.005) return;
    drawn.push(s("rect", { class: signed && weight < 0 ? "cell minus" : "cell", x: left + c * CELL, y: above + r * CELL, width: CELL, height: CELL, "fill-opacity": strength.toFixed(2) }));
  }));
  const hit = s("rect", { class: "hit", width: CELL, height: CELL, visibility: "hidden" });
  const picture = svg(width, height, named, [...drawn, hit]);
  const said = h("p", { class: "soft small said", role: "status" });
  const region = h("div", { class: "wide", tabindex: "0", role: "application", "aria-label": `${named}. Arrow keys go from cell to cell.` }, picture);
  picture.setAttribute("width", width);
  picture.setAttribute("height", height);
  let spot = [-1, -1];
  const show = (r, c) => {
    if (r < 0 || c < 0 || r >= rows.length || c >= columns.length) return;
    spot = [r, c];
    hit.setAttribute("x", left + c * CELL);
    hit.setAttribute("y", above + r * CELL);
    hit.setAttribute("visibility", "visible");
    said.replaceChildren(h("bdi", {}, visible(rows[r])), " · ", h("bdi", {}, visible(columns[c])), ` · ${(weights[r][c] ?? 0).toFixed(digits)}`);
  };
  const point = event => {
    const box = picture.getBoundingClientRect(), scale = width / box.width;
    show(Math.floor(((event.clientY - box.top) * scale - above) / CELL), Math.floor(((event.clientX - box.left) * scale - left) / CELL));
  };
  picture.addEventListener("pointermove", point);
  picture.addEventListener("click", point);  // a tap moves nothing
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  region.addEventListener("keydown", event => {
    if (!(event.key in moves)) return;
    event.preventDefault();
    const [r, c] = spot[0] < 0 ? [0, 0] : [spot[0] + moves[event.key][0], spot[1] + moves[event.key][1]];
    show(Math.max(0, Math.min(rows.length - 1, r)), Math.max(0, Math.min(columns.length - 1, c)));
    hit.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  return h("div", {}, region, said);
}

function svg(width, height, named, drawn) {
  return s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": named }, ...drawn);
}

function label(x, y, anchor, text) {
  return s("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor }, text);
}

function path(xs, ys, x, y) {
  let pen = "M";
  const pieces = [];
  ys.forEach((value, k) => {
    if (Number.isNaN(value)) { pen = "M"; return; }
    pieces.push(`${pen}${x(xs[k]).toFixed(1)} ${y(value).toFixed(1)}`);
    pen = "L";
  });
  return pieces.join("");
}

function tenTo(power) {
  const value = 10 ** power;
  return Number.isInteger(power) ? `1e${power}` : number(value);
}

// About five round numbers; on a logarithmic axis whole decades where two or more lie between.
function ticks(low, high, log) {
  if (log && Math.floor(high) > Math.ceil(low)) {
    const decades = [];
    for (let k = Math.ceil(low); k <= high; k++) decades.push(k);
    return decades.filter((_, k) => k % Math.ceil(decades.length / 6) === 0);
  }
  const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find(each => power * each >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k <= high / step + 1e-9; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}
