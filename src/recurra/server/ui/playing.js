// Music heard: the notes of a roll as tones, by the browser's own synthesis.

import { h } from "./dom.js";

const RISE = 0.01;  // seconds
const LOUD = 0.12;  // of a note, where 1 is the loudest there is

// A button that plays a roll, and stops it.
export function player(part) {
  let sound = null;
  const button = h("button", { type: "button", onclick: () => sound ? stop() : start() }, "Play");
  const stop = () => {
    sound?.close();
    sound = null;
    button.textContent = "Play";
  };
  const start = () => {
    sound = new AudioContext();
    const seconds = part.seconds || 0.25;
    const end = tones(part, seconds).reduce((last, tone) => Math.max(last, sounded(sound, tone)), 0);
    button.textContent = "Stop";
    const mine = sound;
    setTimeout(() => { if (sound === mine) stop(); }, 1000 * end + 200);
  };
  return h("p", {}, button);
}

// Notes with begin and end in seconds: one that goes on is held.
export function tones(part, seconds) {
  const found = [], held = new Map();
  [...part.steps, []].forEach((rows, t) => {
    const now = new Set(rows);
    for (const [row, begin] of held) {
      if (now.has(row)) continue;
      found.push({ note: part.pitches[row], begin: begin * seconds, end: t * seconds });
      held.delete(row);
    }
    for (const row of now) if (!held.has(row)) held.set(row, t);
  });
  return found;
}

function sounded(sound, { note, begin, end }) {
  const tone = new OscillatorNode(sound, { type: "triangle", frequency: 440 * 2 ** ((note - 69) / 12) });
  const level = new GainNode(sound, { gain: 0 });
  const at = sound.currentTime + 0.05;
  level.gain.setValueAtTime(0, at + begin);
  level.gain.linearRampToValueAtTime(LOUD, at + begin + RISE);
  level.gain.setValueAtTime(LOUD, at + Math.max(begin + RISE, end - 3 * RISE));
  level.gain.linearRampToValueAtTime(0, at + end);
  tone.connect(level).connect(sound.destination);
  tone.start(at + begin);
  tone.stop(at + end);
  return end;
}
