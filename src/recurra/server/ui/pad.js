// A picture to be read: drawn with a mouse, a finger or a pen, chosen, or dropped; and where in it symbols were read.

import { byId, h, percent } from "./dom.js";

const WIDTH = 640, HEIGHT = 160, PEN = 10;
const AROUND = 0.12;  // of a drawing's height, left around it
const SHOWN = 96;     // pixels that a picture is high where what was read in it is shown

export class Pad {
  constructor(place) {
    this.canvas = h("canvas", { class: "pad", width: WIDTH, height: HEIGHT, role: "img", "aria-label": "Draw here" });
    this.file = h("input", { id: "picture", type: "file", accept: "image/*", onchange: () => this.take(this.file.files[0]) });
    const clear = h("button", { type: "button", class: "quiet", id: "clear", onclick: () => this.clear() }, "Clear");
    this.asks = h("p", { class: "soft" });
    place.replaceChildren(
      this.asks, this.canvas,
      h("div", { class: "row" }, h("label", { for: "picture" }, "A picture of yours"), this.file, clear));
    for (const name of ["pointerdown", "pointermove"]) this.canvas.addEventListener(name, event => this.draw(event));
    place.addEventListener("dragover", event => event.preventDefault());
    place.addEventListener("drop", event => {
      event.preventDefault();
      this.take(event.dataTransfer.files[0]);
    });
    this.clear();
  }

  // Whether what is read may be drawn by hand, and whether it may be nothing.
  set(drawn, nothing) {
    if (this.drawn === drawn && this.nothing === nothing) return;
    Object.assign(this, { drawn, nothing });
    const chosen = nothing ? "Without a picture a new one is drawn; or drop one here, or choose one." : "Drop a picture here, or choose one.";
    this.asks.textContent = drawn ? "Draw here, with a mouse, a finger or a pen; or drop a picture here." : chosen;
    this.canvas.setAttribute("aria-label", drawn ? "Draw here" : "The picture that is chosen");
    this.canvas.classList.toggle("shown", !drawn);
    this.clear();
  }

  clear() {
    this.chosen = null;
    this.empty = true;
    this.canvas.hidden = Boolean(this.nothing);
    this.file.value = "";
    const pen = this.canvas.getContext("2d", { willReadFrequently: true });
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, WIDTH, HEIGHT);
    Object.assign(pen, { lineWidth: PEN, lineCap: "round", lineJoin: "round", strokeStyle: "#000" });
  }

  draw(event) {
    if (!this.drawn || !(event.buttons & 1)) return;
    event.preventDefault();
    if (this.chosen) this.clear();
    const box = this.canvas.getBoundingClientRect(), pen = this.canvas.getContext("2d");
    const [x, y] = [(event.clientX - box.left) * WIDTH / box.width, (event.clientY - box.top) * HEIGHT / box.height];
    const [before, behind] = event.type === "pointerdown" ? [x, y] : this.last ?? [x, y];
    if (event.type === "pointerdown") this.canvas.setPointerCapture(event.pointerId);
    pen.beginPath();
    pen.moveTo(before, behind);
    pen.lineTo(x, y);
    pen.stroke();
    this.last = [x, y];
    this.empty = false;
  }

  // Shows a file as it is; what is no picture is the server's to refuse.
  async take(file) {
    if (!file) return;
    this.clear();
    this.chosen = file;
    this.empty = false;
    const found = await createImageBitmap(file).catch(() => null);
    if (!found || this.chosen !== file) return;
    this.canvas.hidden = false;
    const scale = Math.min(WIDTH / found.width, HEIGHT / found.height);
    this.canvas.getContext("2d").drawImage(found, 0, 0, found.width * scale, found.height * scale);
  }

  // The picture: its bytes in base64, and what the browser can draw of it.
  async picture() {
    if (this.empty) return null;
    const drawn = this.chosen ? null : this.cropped();
    const blob = this.chosen ?? await new Promise(done => drawn.toBlob(done, "image/png"));
    const shown = drawn ?? await createImageBitmap(blob).catch(() => null);
    return { input: await base64(blob), shown };
  }

  // What is drawn, without the empty ground around it.
  cropped() {
    const { data } = this.canvas.getContext("2d").getImageData(0, 0, WIDTH, HEIGHT);
    let [left, top, right, bottom] = [WIDTH, HEIGHT, 0, 0];
    for (let k = 0; k < WIDTH * HEIGHT; k++) {
      if (data[4 * k] > 127) continue;
      const x = k % WIDTH, y = Math.floor(k / WIDTH);
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
    }
    const around = Math.round(AROUND * (bottom - top + 1)) + 1;
    const [width, height] = [right - left + 1 + 2 * around, bottom - top + 1 + 2 * around];
    const found = h("canvas", { width, height }), pen = found.getContext("2d");
    pen.fillStyle = "#fff";
    pen.fillRect(0, 0, width, height);
    pen.drawImage(this.canvas, around - left, around - top);
    return found;
  }
}

// The picture that was read, each symbol above the columns that it was read in.
export function columns(shown, symbols) {
  const scale = SHOWN / shown.height, line = 24, width = Math.max(1, Math.round(shown.width * scale));
  const words = symbols.map(one => `${one.symbol} (${percent(one.p)})`).join(", ");
  const canvas = h("canvas", { class: "columns-read", width, height: SHOWN + line, role: "img", "aria-label": `Read from left to right: ${words}` });
  const pen = canvas.getContext("2d"), style = getComputedStyle(byId("result"));
  pen.drawImage(shown, 0, line, width, SHOWN);
  pen.font = `600 16px ${style.fontFamily}`;
  pen.textAlign = "center";
  symbols.forEach((one, k) => {
    const [begin, end] = [Math.min(one.begin, one.end) * scale, Math.max(one.begin, one.end) * scale];
    pen.fillStyle = style.getPropertyValue(`--k${k % 8}`);
    pen.globalAlpha = 0.3;
    pen.fillRect(begin, line, Math.max(2, end - begin), SHOWN);
    pen.globalAlpha = 1;
    pen.fillText(one.symbol, (begin + end) / 2, line - 7);
  });
  return h("figure", {}, canvas, h("figcaption", {}, "The columns that each symbol was read in."));
}

async function base64(blob) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let letters = "";
  for (let k = 0; k < bytes.length; k += 8192) letters += String.fromCharCode(...bytes.subarray(k, k + 8192));
  return btoa(letters);
}
