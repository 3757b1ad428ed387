// A drawing for each kind of answer; docs/how-to/serve.md says what each holds.

import { heatMap, lineChart, MOST } from "./charts.js";
import { direction, h, number, percent, s } from "./dom.js";
import { player } from "./playing.js";
import { Written } from "./written.js";

const FRAME = 150;  // milliseconds that a step of a picture is seen

const KINDS = {
  label(part) {
    const names = part.several ? part.labels : [part.label];
    const head = part.bars.length && names.length ? null : h("h3", {}, names.join(", ") || "None of the labels");
    return h("div", {}, head, part.bars.length > 0 && bars(part.bars.map(bar => [bar.label, bar.p]), new Set(names)));
  },

  spans(part) {
    const colours = new Map();
    const colour = label => { if (!colours.has(label)) colours.set(label, colours.size % 8); return `c${colours.get(label)}`; };
    const line = h("p", { class: "spans", dir: direction(part.tokens.join(" ")) });
    const between = part.spaced ? " " : "";
    let place = 0, plain = 0;
    for (const span of part.spans) {
      for (; place < span.begin; place++) line.append(part.tokens[place], between);
      const words = h("bdi", {}, part.tokens.slice(span.begin, span.end).join(between));
      const look = span.label ? colour(span.label) : `c${plain++ % 2}`;
      const title = span.p === null ? span.label : `${span.label} ${percent(span.p)}`;
      line.append(h("mark", { class: look, title }, words, span.label && h("small", {}, span.label)), between);
      place = span.end;
    }
    for (; place < part.tokens.length; place++) line.append(part.tokens[place], between);
    const rows = part.spans.map(span => [h("bdi", {}, part.tokens.slice(span.begin, span.end).join(between)), span.label || "–", percent(span.p)]);
    return h("div", {}, line, part.spans.length ? listed(["text", "label", "probability"], rows) : h("p", { class: "soft" }, "Nothing is marked."));
  },

  text(part) {
    const view = new Written(part.prompt);
    part.symbols.forEach(symbol => view.add(symbol));
    return view.node;
  },

  pair(part) {
    const node = h("div", {}, h("p", { class: "target", dir: "auto" }, part.lines ? part.lines.join("\n") : part.target || "–"));
    if (part.hypotheses.length > 1) {
      node.append(h("ol", {}, part.hypotheses.map(one => h("li", { dir: "auto" }, one.target, h("span", { class: "soft" }, `  ${number(one.score)}`)))));
    }
    if (part.map) {
      node.append(h("details", { open: true }, h("summary", {}, "Attention"), attention(part.map)));
    }
    if (part.map_left_out) node.append(h("p", { class: "soft" }, part.map_left_out));
    return node;
  },

  choices(part) {
    const line = h("p", { class: "target", dir: direction(part.tokens.join(" ")) });
    const best = new Map(part.blanks.map(blank => [blank.place, blank.sides[0]?.choices[0]?.symbol ?? "___"]));
    part.tokens.forEach((token, k) => line.append(best.has(k) ? h("span", { class: "blank" }, h("bdi", {}, best.get(k))) : token, part.spaced ? " " : ""));
    const node = h("div", {}, line);
    const names = { both: "from both sides", left: "from the left alone" };
    part.blanks.forEach((blank, k) => {
      const sides = blank.sides.map(side => h("div", {},
        h("h3", {}, (part.blanks.length > 1 ? `${k + 1}. blank, ` : "") + (names[side.name] ?? side.name)),
        bars(side.choices.map(one => [one.symbol, one.p]), new Set([side.choices[0]?.symbol]))));
      node.append(h("div", { class: "columns" }, sides));
    });
    return node;
  },

  transcript(part) {
    const symbols = part.symbols ?? [];
    const shade = p => ({ class: "read", "--p": p.toFixed(2) });
    const line = symbols.length
      ? symbols.map(one => h("span", { ...shade(one.p), title: `${number(one.begin)} to ${number(one.end)} ${part.unit}, ${percent(one.p)}` }, one.symbol))
      : part.transcript || "–";
    const others = (part.others ?? []).map(one => h("li", { dir: "auto" }, one.transcript, h("span", { class: "soft" }, `  ${number(one.score)}`)));
    const rows = symbols.map(one => [one.symbol, `${number(one.begin)} to ${number(one.end)} ${part.unit}`, percent(one.p)]);
    return h("div", {},
      h("p", { class: "target", dir: "auto" }, line),
      h("p", { class: "soft" }, `Right with ${percent(part.confidence)}.`),
      others.length > 0 && h("ol", {}, others),
      rows.length > 0 && listed(["symbol", "from", "probability"], rows));
  },

  // The picture as it was read, and once for each word: the darker a region, the less the word looked there.
  caption(part) {
    const node = h("div", {}, h("p", { class: "target", dir: "auto" }, part.target || "–"));
    if (part.hypotheses.length > 1) {
      node.append(h("ol", {}, part.hypotheses.map(one => h("li", { dir: "auto" }, one.target, h("span", { class: "soft" }, `  ${number(one.score)}`)))));
    }
    if (part.looks) node.append(looks(part.looks));
    if (part.map_left_out) node.append(h("p", { class: "soft" }, part.map_left_out));
    return node;
  },

  number(part) {
    const between = (part.low ?? null) !== null && h("p", { class: "soft" }, `${number(part.low)} to ${number(part.high)}`);
    return h("div", {}, part.name && h("h3", {}, part.name), h("p", { class: "big" }, `${number(part.value)} ${part.unit}`), between);
  },

  series(part) {
    const given = part.given ?? [], begin = Math.max(0, given.length - 1);
    const joined = given.length ? [given[begin], ...part.forecast] : part.forecast;
    const x = joined.map((_, k) => begin + k);
    const lines = [{ name: "forecast", values: joined, x, dashed: true, colour: 1 }];
    if (given.length) lines.unshift({ name: "given", values: given, colour: 0 });
    const ahead = part.forecast.map((_, k) => given.length + k);
    if (part.truth) lines.unshift({ name: "measured", values: part.truth, x: ahead, colour: 2 });
    const band = part.low && part.high ? { low: part.low, high: part.high, x: ahead } : null;
    const rows = part.forecast.map((value, k) => [String(k + 1), number(value), ...(band ? [number(part.low[k]), number(part.high[k])] : []), ...(part.truth ? [number(part.truth[k])] : [])]);
    return h("div", {}, part.name && h("h3", {}, part.name), lineChart(lines, "steps", part.unit || "value", { band }), listed(["step ahead", "forecast", ...(band ? ["low", "high"] : []), ...(part.truth ? ["measured"] : [])], rows));
  },

  picture(part) {
    const [height, width, depth = 1] = part.shape;
    const canvas = h("canvas", { class: "picture", width, height, role: "img", "aria-label": part.caption || `A picture of ${width} by ${height} pixels` });
    const show = packed => canvas.getContext("2d").putImageData(pixels(packed, width, height, depth), 0, 0);
    show(part.pixels);
    const node = h("figure", {}, canvas, part.caption && h("figcaption", {}, part.caption));
    if (part.frames.length) {
      const last = part.frames.length - 1;
      const steps = h("input", { type: "range", min: 0, max: last, value: last, "aria-label": "step", oninput: () => { clearInterval(playing); show(part.frames[Number(steps.value)]); } });
      const step = k => { steps.value = k; show(part.frames[k]); };
      let k = 0, playing;
      const play = () => { clearInterval(playing); k = 0; playing = setInterval(() => k <= last ? step(k++) : clearInterval(playing), FRAME); };
      if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
      node.append(h("div", { class: "row" }, steps, h("button", { type: "button", class: "quiet", onclick: play }, "Play")));
    }
    return node;
  },

  // Rows that ever sound, the highest first; what was given is half as dark as what is new.
  roll(part) {
    const used = [...new Set(part.steps.flat())].sort((a, b) => b - a);
    if (!used.length) return h("p", { class: "soft" }, "Nothing sounds.");
    const on = part.steps.map(step => new Set(step));
    const weights = used.map(row => on.map((step, t) => step.has(row) ? (t < part.given ? 0.5 : 1) : 0));
    const times = part.steps.map((_, t) => part.seconds ? `${number(t * part.seconds)} s` : String(t + 1));
    const map = begun(used.map(row => part.rows[row]), times, weights, "Rows that sound, by time");
    return part.pitches?.length ? h("div", {}, player(part), map) : map;
  },

  // What was given is grey.
  drawing(part) {
    const points = part.lines.flat();
    if (!points.length) return h("p", { class: "soft" }, "Nothing is drawn.");
    const [x, y] = [0, 1].map(k => points.map(point => point[k]));
    const [left, top] = [Math.min(...x), Math.min(...y)];
    const [wide, high] = [Math.max(...x) - left, Math.max(...y) - top];
    const side = Math.max(wide, high, 1e-9), margin = 0.05 * side;
    const paths = part.lines.flatMap(line => {
      const cut = line.filter(point => point[2]).length;
      return [[line.slice(0, cut), "pen given"], [line.slice(Math.max(0, cut - 1)), "pen"]]
        .filter(([some]) => some.length > 1)
        .map(([some, look]) => s("path", { class: look, d: "M" + some.map(point => `${point[0]} ${point[1]}`).join("L"), "stroke-width": side / 60 }));
    });
    const box = [left - margin, top - margin, wide + 2 * margin, high + 2 * margin].join(" ");
    return s("svg", { class: "drawing", viewBox: box, role: "img", "aria-label": `A drawing of ${part.lines.length} lines` }, ...paths);
  },

  tree(part) {
    const node = one => h("li", {}, h("b", {}, one.label), (one.p ?? null) !== null && h("span", { class: "soft" }, ` ${percent(one.p)}`),
      one.token !== undefined && h("bdi", {}, ` ${one.token}`), one.children && h("ul", {}, one.children.map(node)));
    return h("div", {}, h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "drawing" }, branches(part)),
      h("details", {}, h("summary", {}, "As a list"), h("ul", { class: "tree" }, node(part.tree))));
  },
};

// Every node on the colour of its label, the paler the less sure; the words in a line at the foot.
function branches({ nodes, width, height }) {
  const lines = nodes.filter(one => one.up).map(one => s("path", { class: "branch", d: `M${one.up[0]} ${one.up[1]}L${one.x} ${one.y}` }));
  const marks = nodes.flatMap(one => [
    s("g", {}, s("title", {}, one.title), s("rect", { class: "node", x: one.x - one.wide / 2, y: one.y - 9, width: one.wide, height: 18, rx: 9, fill: one.colour }),
      s("text", { x: one.x, y: one.y + 4, "text-anchor": "middle", class: "inside", "--on": one.ink }, one.text)),
    one.word !== null && s("text", { x: one.x, y: one.y + 23, "text-anchor": "middle" }, one.word)]);
  return s("svg", { class: "branches", viewBox: `-4 -4 ${width + 8} ${height + 8}`, width: width + 8, height: height + 8, role: "img", "aria-label": `A tree of ${nodes.length} nodes` }, ...lines, ...marks.filter(Boolean));
}

const DARKEST = 0.8;  // of what lies over a region that a word does not look at

function looks({ shape: [height, width, depth], pixels: packed, regions: [rows, columns], words, weights }) {
  const image = pixels(packed, width, height, depth);
  const tile = (word, row) => {
    const most = row && Math.max(...row), best = row ? row.indexOf(most) : 0;
    const said = row ? `${word}: most at row ${Math.floor(best / columns) + 1}, column ${best % columns + 1}, ${percent(most)}` : "The picture as it is read";
    const canvas = h("canvas", { width, height, role: "img", "aria-label": said, title: said });
    const pen = canvas.getContext("2d");
    pen.putImageData(image, 0, 0);
    (row ?? []).forEach((weight, k) => {
      pen.fillStyle = `rgb(0 0 0 / ${DARKEST * (1 - weight / (most || 1))})`;
      pen.fillRect(k % columns * width / columns, Math.floor(k / columns) * height / rows, width / columns, height / rows);
    });
    return h("figure", {}, h("figcaption", {}, h("bdi", {}, word || "\u00a0")), canvas);
  };
  return h("div", { class: "looks" }, tile("", null), words.map((word, k) => tile(word, weights[k])));
}

// Bytes of grey or coloured pixels, as a canvas takes them.
function pixels(packed, width, height, depth) {
  const bytes = Uint8Array.from(atob(packed), letter => letter.charCodeAt(0));
  const image = new ImageData(width, height);
  for (let k = 0; k < width * height; k++) {
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = bytes[depth === 1 ? k : depth * k + c];
    image.data[4 * k + 3] = 255;
  }
  return image;
}

export function drawn(part) {
  const draw = KINDS[part.kind];
  return draw ? draw(part) : h("pre", {}, JSON.stringify(part, null, 1));
}

export function answer(parts, notes = []) {
  const sentence = note => h("p", { class: "soft" }, note[0].toUpperCase() + note.slice(1));
  return h("div", { class: "answer" }, parts.map(drawn), notes.map(sentence));
}

// Rows are written and columns read; a target that is far longer than its source goes across.
function attention({ rows, columns, weights }) {
  if (rows.length <= 24 || rows.length <= 2 * columns.length) return begun(rows, columns, weights, "Attention: rows are written, columns are read");
  const turned = columns.map((_, c) => weights.map(row => row[c]));
  return begun(columns, rows, turned, "Attention: columns are written, rows are read");
}

// So much of a map as can be looked at.
function begun(rows, columns, weights, named) {
  const map = heatMap(rows.slice(0, MOST), columns.slice(0, MOST), weights.slice(0, MOST).map(row => row.slice(0, MOST)), named);
  if (Math.max(rows.length, columns.length) > MOST) map.append(h("p", { class: "soft small" }, `The first ${MOST} symbols of each are shown.`));
  return map;
}

function bars(rows, first) {
  return h("ul", { class: "bars" }, rows.map(([name, p]) => h("li", { class: first.has(name) && "first" },
    h("bdi", { class: "name" }, name), h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "fill", "--p": p.toFixed(4) })), h("span", { class: "p" }, percent(p)))));
}

function listed(head, rows) {
  return h("details", {}, h("summary", {}, "As a table"),
    h("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "table" }, h("table", {},
      h("thead", {}, h("tr", {}, head.map(name => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map(row => h("tr", {}, row.map(cell => h("td", {}, cell))))))));
}
