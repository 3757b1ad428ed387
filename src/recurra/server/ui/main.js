// The page: a model is picked, asked, looked into.

import { ask, follow, keepToken, Trouble } from "./api.js";
import { modelCard } from "./card.js";
import { byId, h } from "./dom.js";
import { Hearing } from "./hearing.js";
import { findings } from "./inside.js";
import { answer } from "./kinds.js";
import { Options } from "./options.js";
import { columns, Pad } from "./pad.js";
import { Written } from "./written.js";

const LOOK = "recurra-look";
const options = new Options(byId("options"));
const pad = new Pad(byId("pad"));
const hearing = new Hearing(byId("hearing"), sentence => complain({ message: sentence }));
const kept = new Map();  // what was typed for each model
let cards = [], card = null, running = null;

function chooseLook() {
  const root = document.documentElement, button = byId("look"), saved = localStorage.getItem(LOOK);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.look ?? (system.matches ? "dark" : "light")) === "dark";
  const show = () => {
    button.textContent = dark() ? "Light" : "Dark";
    button.setAttribute("aria-label", dark() ? "Change to a light page" : "Change to a dark page");
    button.setAttribute("aria-pressed", String(dark()));
  };
  if (saved === "dark" || saved === "light") root.dataset.look = saved;
  button.addEventListener("click", () => {
    root.dataset.look = dark() ? "light" : "dark";
    localStorage.setItem(LOOK, root.dataset.look);
    show();
  });
  system.addEventListener("change", show);
  show();
}

function say(sentence) {
  byId("status").textContent = sentence;
}

function complain(error) {
  const place = byId("trouble");
  place.hidden = !error;
  if (!error) return;
  const first = /^[a-z]+[ ,]/.test(error.message) ? error.message.charAt(0).toUpperCase() + error.message.slice(1) : error.message;
  const detail = [error.expected && `Expected: ${error.expected}.`, error.got !== null && error.got !== undefined && `Got: ${error.got}.`].filter(Boolean).join(" ");
  place.replaceChildren(h("p", {}, h("strong", {}, /[.?!]$/.test(first) ? first : `${first}.`)), ...(detail ? [h("p", {}, detail)] : []), ...(error.next ? [h("p", {}, error.next)] : []));
  place.scrollIntoView({ block: "nearest" });
}

async function begin() {
  complain(null);
  byId("entry").hidden = true;
  try {
    cards = (await ask("/api/models")).models;
  } catch (error) {
    if (error.status === 401) {
      byId("entry").hidden = false;
      byId("token").focus();
    }
    if (error.status !== 401 || error.got !== "no token") complain(error);
    return;
  }
  const picker = byId("model");
  picker.replaceChildren(...cards.map(each => h("option", { value: each.name }, each.name)));
  byId("pick").hidden = cards.length < 2;
  choose(addressed() ?? cards[0].name);
}

// The model that the address names, if there is one.
function addressed() {
  let wanted = "";
  try {
    wanted = decodeURIComponent(location.hash.slice(1));
  } catch { /* half an escape names none */ }
  return cards.find(each => each.name === wanted)?.name;
}

function choose(name) {
  leave();
  if (card) kept.set(card.name, byId("input").value);
  card = cards.find(each => each.name === name);
  byId("model").value = name;
  history.replaceState(null, "", `#${encodeURIComponent(name)}`);
  document.title = `${name} – recurra`;
  byId("name").textContent = name;
  byId("description").textContent = card.description;
  byId("asks").textContent = card.asks;
  byId("input").value = kept.get(name) ?? card.example;
  options.set(card);
  byId("settings").hidden = !byId("options").children.length;
  const generates = card.can.includes("generate"), writes = card.continues;
  byId("verbs").replaceChildren(
    h("button", { type: "submit" }, card.verb),
    generates && !writes ? h("button", { type: "button", class: "quiet", onclick: () => run(generate) }, "Symbol by symbol") : "");
  byId("stop").hidden = !generates;
  const drawn = card.file === "image", spoken = card.file === "sound";
  byId("pad").hidden = !drawn;
  if (drawn) pad.set(card.drawn, card.imagines);
  byId("hearing").hidden = !spoken;
  byId("input").hidden = byId("keys").hidden = drawn || spoken;
  byId("asks").htmlFor = drawn ? "picture" : spoken ? "recording" : "input";
  byId("inspect").hidden = drawn || spoken || !card.can.includes("inspect");
  byId("example").hidden = !card.example;
  byId("result").replaceChildren();
  byId("card").replaceChildren(modelCard(card));
  byId("try").hidden = byId("about").hidden = false;
  complain(null);
}

function stop() {
  running?.abort();
}

// Stop without a word: what is said from now on is said of something else.
function leave() {
  stop();
  running = null;
  byId("stop").disabled = true;
  byId("try").removeAttribute("aria-busy");
  byId("inside").hidden = true;
  say("");
}

// Do one thing at a time; what is begun meanwhile ends it.
async function run(work) {
  const wrong = options.wrong();
  if (wrong) {
    byId("settings").open = true;
    wrong.reportValidity();
    return;
  }
  leave();
  const mine = running = new AbortController();
  complain(null);
  byId("stop").disabled = false;
  byId("try").setAttribute("aria-busy", "true");
  try {
    await work(byId("input").value, mine.signal);
  } catch (error) {
    if (error.name === "AbortError") {
      if (running === mine) say("Stopped.");
    } else {
      say("");
      complain(error instanceof Trouble ? error : new Trouble(0, { error: String(error), expected: null, got: null, next: "Load the page again." }));
    }
  } finally {
    if (running === mine) {
      running = null;
      byId("stop").disabled = true;
      byId("try").removeAttribute("aria-busy");
    }
  }
}

const seeded = said => (said.seed === undefined ? "" : `, seed ${said.seed}`);
const address = verb => `/api/models/${encodeURIComponent(card.name)}/${verb}`;

async function predict(input, signal) {
  say("Computing …");
  const allowed = card.options.predict, said = options.said(allowed);
  for (const name of ["attention", "alignment"]) if (name in allowed) said[name] = true;
  const picture = card.file === "image" ? await pad.picture() : null;
  if (card.file === "image" && !picture && !card.imagines) throw new Trouble(0, { error: "there is no picture", expected: null, got: null, next: card.drawn ? "Draw one, or choose a file." : "Drop one, or choose a file." });
  const recording = card.file === "sound" ? hearing.recording() : null;
  if (recording === "") throw new Trouble(0, { error: "there is no recording", expected: null, got: null, next: "Speak, or choose a file." });
  const begun = performance.now();
  const found = await ask(address("predict"), { inputs: [picture?.input ?? recording ?? (card.imagines ? "" : input)], options: said }, signal);
  const read = picture?.shown ? found.answers[0].parts.filter(part => part.symbols?.length && part.unit === "px") : [];
  const heard = recording && hearing.heard(found.answers[0].parts);
  byId("result").replaceChildren(...(heard ? [heard] : []), ...read.map(part => columns(picture.shown, part.symbols)), ...found.answers.map(each => answer(each.parts, each.notes)));
  say(`Answered in ${Math.round(performance.now() - begun)} ms${seeded(said)}.`);
}

async function generate(input, signal) {
  const said = options.said(card.options.generate);
  const view = new Written(card.continues ? input : "");
  byId("result").replaceChildren(h("div", { class: "answer", "aria-live": "off" }, view.node));
  say("Writing …");
  const begun = performance.now();
  await follow(address("generate"), { input, options: said }, signal, (name, data) => {
    if (name === "symbol") view.add(data);
    else {
      const shown = view.symbols.map(symbol => symbol.text).join("");
      if (data.text !== shown) view.node.append(h("p", { dir: "auto" }, h("span", { class: "soft" }, "As a whole: "), data.text));
      say(`${data.symbols} symbols in ${((performance.now() - begun) / 1000).toFixed(1)} s${seeded(said)}.`);
    }
  });
}

async function inspect(input, signal) {
  say("Looking inside …");
  const found = await ask(address("inspect"), { text: input }, signal);
  byId("findings").replaceChildren(...findings(found));
  byId("inside").hidden = false;
  byId("inside").scrollIntoView({ block: "start" });
  say("Looked inside, see below.");
}

chooseLook();
byId("model").addEventListener("change", event => choose(event.target.value));
document.querySelector(".skip").addEventListener("click", event => {
  event.preventDefault();  // the address names the model
  byId("input").focus();
});
addEventListener("hashchange", () => {
  const name = addressed();
  if (name && name !== card?.name) choose(name);
});
byId("ask").addEventListener("submit", event => {
  event.preventDefault();
  run(card.continues ? generate : predict);
});
byId("input").addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask").requestSubmit();
});
byId("stop").addEventListener("click", stop);
byId("inspect").addEventListener("click", () => run(inspect));
byId("example").addEventListener("click", () => { byId("input").value = card.example; byId("input").focus(); });
byId("entry").addEventListener("submit", event => {
  event.preventDefault();
  keepToken(byId("token").value.trim());
  begin();
});
begin();
