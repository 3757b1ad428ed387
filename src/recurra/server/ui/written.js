// A text whose symbols each say how likely they were and what else was: by pointing, tapping, or with the arrow keys.

import { h, percent, visible } from "./dom.js";

export class Written {
  constructor(prompt = "", hint = "Point at a symbol, or go with the arrow keys, for what else was likely.") {
    this.symbols = [];
    this.text = h("div", { class: "written", dir: "auto", tabindex: "0", role: "group", "aria-label": `Text. ${hint}` });
    if (prompt) this.text.append(h("span", { class: "given" }, prompt));
    this.expected = h("div", { class: "expected", role: "status" }, hint);
    this.node = h("div", {}, this.text, this.expected);
    this.now = -1;
    this.text.addEventListener("pointerover", event => this.point(event.target));
    this.text.addEventListener("click", event => this.point(event.target));
    this.text.addEventListener("focus", () => { if (this.now < 0) this.show(0); });
    this.text.addEventListener("keydown", event => this.move(event));
  }

  // symbol: {symbol, text, p, alternatives}
  add(symbol) {
    const bits = symbol.p > 0 ? -Math.log2(symbol.p) : 10;
    const shown = symbol.text === undefined ? symbol.symbol : symbol.text;
    const span = h("span", { class: "s", "--a": (Math.min(1, bits / 10) * 0.75).toFixed(2) }, shown);
    span.dataset.k = this.symbols.length;
    this.symbols.push({ ...symbol, span });
    if ([...symbol.symbol].length > 1) this.text.classList.remove("letters");
    else if (this.symbols.length === 1) this.text.classList.add("letters");
    this.text.append(span);
    if (this.text.scrollHeight - this.text.scrollTop - this.text.clientHeight < 80) this.text.scrollTop = this.text.scrollHeight;
  }

  point(target) {
    if (target.dataset?.k !== undefined) this.show(Number(target.dataset.k));
  }

  move(event) {
    const rtl = getComputedStyle(this.text).direction === "rtl" ? -1 : 1;
    const steps = { ArrowLeft: -rtl, ArrowRight: rtl, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.show(Math.max(0, Math.min(this.symbols.length - 1, this.now + steps[event.key])));
  }

  show(k) {
    const symbol = this.symbols[k];
    if (!symbol) return;
    this.symbols[this.now]?.span.classList.remove("now");
    this.now = k;
    symbol.span.classList.add("now");
    const others = (symbol.alternatives ?? []).map(each => {
      const [name, p] = Array.isArray(each) ? each : [each.symbol, each.p];
      return h("span", {}, h("bdi", {}, visible(name)), ` ${percent(p)}`);
    });
    this.expected.replaceChildren(h("b", {}, h("bdi", {}, visible(symbol.symbol)), ` ${percent(symbol.p)}`), ...(others.length ? [h("span", {}, "likeliest:"), ...others] : []));
  }
}
