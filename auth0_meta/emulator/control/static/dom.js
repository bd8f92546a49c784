// Elements, texts and times.  Values are shown as text only: nothing here writes markup, and the content security
// policy forbids it too.
export const $ = (id) => document.getElementById(id);

export function make(tag, classes = "", text = null, ...children) {
  const node = document.createElement(tag);
  if (classes) node.className = classes;
  if (text !== null) node.textContent = text;
  node.append(...children);
  return node;
}

export function button(text, action, classes = "") {
  const node = make("button", classes, text);
  node.type = "button";
  node.addEventListener("click", action);
  return node;
}

export function fold(title, ...children) {
  return make("details", "fold", null, make("summary", "", title), ...children);
}

// Messages between the modules, so that they need not import each other.
export const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));
export const when = (name, action) => document.addEventListener(name, (event) => action(event.detail));

// An error that stays until the next action works, and a short word for screen readers and for the corner of the page.
export function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}
let fading = 0;
export function say(text) {
  clearTimeout(fading);
  $("said").textContent = text;
  fading = setTimeout(() => { $("said").textContent = ""; }, 4000);
}
export function shown(promise) {
  return promise.then((value) => { notice(""); return value; }, (error) => notice(error.message));
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no clipboard without https, except on this machine
    const field = make("textarea", "hide");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  say(`Copied: ${what}`);
}

const pad = (number) => String(number).padStart(2, "0");
export function clockTime(seconds) {
  const date = new Date(seconds * 1000);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}
export function fullTime(seconds) {
  const date = new Date(seconds * 1000);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clockTime(seconds)}`;
}
export function duration(seconds) {
  return seconds < 1 ? `${(seconds * 1000).toFixed(seconds < .01 ? 1 : 0)} ms` : `${seconds.toFixed(1)} s`;
}
export function counted(number, noun) {
  return `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}
export function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

const LONGEST_JSON = 200_000; // what is longer is slow to draw and nothing that a person reads
export function jsonView(value) {
  const whole = JSON.stringify(value, null, 2);
  const text = whole.length > LONGEST_JSON ? `${whole.slice(0, LONGEST_JSON)}…` : whole;
  const view = make("pre", "json");
  view.tabIndex = 0; // it may scroll, so the keyboard must reach it
  let last = 0;
  for (const match of text.matchAll(/^( *)("(?:[^"\\]|\\.)*")(?=:)/gm)) {
    const start = match.index + match[1].length;
    view.append(text.slice(last, start), make("span", "k", match[2]));
    last = start + match[2].length;
  }
  view.append(text.slice(last));
  return view;
}
