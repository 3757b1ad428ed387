// A recording that a model reads: dropped, picked or spoken. It is sent as the bytes of a file in base64.

import { h, number, percent } from "./dom.js";

const WIDTH = 720, HEIGHT = 80;  // of the wave, in pixels
const RATE = 16000;  // of what is spoken, Hz

export class Hearing {
  constructor(node, complain) {
    this.node = node;
    this.complain = complain;
    const picker = h("input", { type: "file", id: "recording", accept: ".wav,.flac,.ogg,.mp3,audio/*", onchange: () => this.take(picker.files[0]) });
    this.shown = h("canvas", { class: "wave", width: WIDTH, height: HEIGHT, role: "img", "aria-label": "The recording" });
    this.button = h("button", { type: "button", class: "quiet", onclick: () => this.record() }, "Speak");
    this.name = h("p", { class: "soft small" }, "Drop a recording here, choose one, or speak.");
    node.append(this.shown, h("div", { class: "row" }, h("label", { for: "recording" }, "A recording of yours"), picker, this.button), this.name);
    node.addEventListener("dragover", event => event.preventDefault());
    node.addEventListener("drop", event => {
      event.preventDefault();
      this.take(event.dataTransfer.files[0]);
    });
    this.raw = null;
  }

  // Take a file, and show it.
  async take(file) {
    if (!file) return;
    this.raw = new Uint8Array(await file.arrayBuffer());
    this.seconds = 0;
    this.name.textContent = `${file.name}, ${number(this.raw.length)} bytes`;
    try {
      await this.wave(this.raw);
    } catch { /* what the page cannot draw the model may read all the same */ }
  }

  async wave(raw) {
    const heard = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(raw.slice().buffer), samples = heard.getChannelData(0);
    const pen = this.shown.getContext("2d"), { width, height } = this.shown, each = samples.length / width;
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = getComputedStyle(this.shown).color;
    for (let x = 0; x < width; x++) {
      let most = 0;
      for (let k = Math.floor(x * each); k < (x + 1) * each; k++) most = Math.max(most, Math.abs(samples[k] ?? 0));
      pen.fillRect(x, height / 2 * (1 - most), 1, Math.max(1, height * most));
    }
    this.seconds = heard.duration;
  }

  // Record until the button is pressed again.
  async record() {
    if (this.recorder) return this.stopped();
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      const context = new AudioContext({ sampleRate: RATE }), source = context.createMediaStreamSource(stream);
      const taker = context.createScriptProcessor(4096, 1, 1), kept = [];
      taker.onaudioprocess = event => kept.push(event.inputBuffer.getChannelData(0).slice());
      source.connect(taker);
      taker.connect(context.destination);
      this.recorder = { stream, context, kept };
      this.button.textContent = "Stop";
      this.name.textContent = "Speak now.";
    } catch (error) {
      this.complain(`The microphone cannot be used (${error.message}). Pick a file.`);
    }
  }

  stopped() {
    const { stream, context, kept } = this.recorder;
    this.recorder = null;
    for (const track of stream.getTracks()) track.stop();
    context.close();
    this.button.textContent = "Speak";
    this.take(new File([wav(kept, context.sampleRate)], "spoken.wav"));
  }

  // The bytes in base64; "" where there are none.
  recording() {
    if (!this.raw) return "";
    let text = "";
    for (let k = 0; k < this.raw.length; k += 0x8000) text += String.fromCharCode(...this.raw.subarray(k, k + 0x8000));
    return btoa(text);
  }

  // The wave with what was heard below it, each symbol where it was; null where nobody says where.
  heard(parts) {
    const part = parts.find(each => each.symbols?.length && each.unit === "s");
    if (!part || !this.seconds) return null;
    const place = one => ({ "--at": `${100 * one.begin / this.seconds}%`, "--p": one.p.toFixed(2), class: "read", title: `${number(one.begin)} to ${number(one.end)} s, ${percent(one.p)}` });
    const copy = h("canvas", { class: "wave", width: WIDTH, height: HEIGHT, role: "img", "aria-label": `Heard: ${part.transcript}` });
    copy.getContext("2d").drawImage(this.shown, 0, 0);
    return h("div", { class: "strip" }, copy, h("div", { class: "under", "aria-hidden": "true" }, part.symbols.map(one => h("span", place(one), one.symbol))));
  }
}

// A WAV file of 16 bits of blocks of samples.
function wav(blocks, rate) {
  const count = blocks.reduce((sum, block) => sum + block.length, 0), view = new DataView(new ArrayBuffer(44 + 2 * count));
  const words = (at, text) => [...text].forEach((letter, k) => view.setUint8(at + k, letter.charCodeAt(0)));
  words(0, "RIFF"); view.setUint32(4, 36 + 2 * count, true); words(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true); view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  words(36, "data"); view.setUint32(40, 2 * count, true);
  let at = 44;
  for (const block of blocks) for (const sample of block) { view.setInt16(at, Math.max(-1, Math.min(1, sample)) * 32767, true); at += 2; }
  return view;
}
