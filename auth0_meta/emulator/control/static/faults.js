// Faults: the form that adds one, and the list with what each has struck.
import { control } from "./api.js";
import { $, button, make, say, shown, tell, when } from "./dom.js";

// What the select offers: settings that are fixed, and the names of those that the form asks for.
const KINDS = {
  limit: [{ status: 429 }, ["reset"]], error: [{}, ["status"]], proxy: [{ status: 502, html: true }, []],
  before: [{ drop: "before_commit" }, []], after: [{ drop: "after_commit" }, []], reset: [{ drop: "reset" }, []],
  delay: [{}, ["delay"]], slow: [{}, ["slow"]], cut: [{}, ["truncate"]], token: [{ expire_token: true }, []], rows: [{}, ["rows"]],
};
const NUMBERS = ["reset", "status", "delay", "slow", "truncate", "rows", "nth", "times", "probability"];
const FLAGS = ["commit", "html", "expire_token"];
const form = $("fault");

function arrange() {
  const [fixed, asked] = KINDS[form.elements.what.value];
  for (const field of form.querySelectorAll("[data-for]")) {
    field.hidden = !asked.includes(field.dataset.for);
    field.querySelector("input").disabled = field.hidden;
  }
  for (const field of form.querySelectorAll("[data-also]")) {
    field.hidden = asked.includes(field.dataset.also);
    field.querySelector("input").disabled = field.hidden;
  }
  const hasStatus = "status" in fixed || asked.includes("status");
  $("fault-response").hidden = !hasStatus;
  for (const field of $("fault-response").querySelectorAll("input, textarea")) field.disabled = !hasStatus;
}

function parsedBody(text) {
  try { return JSON.parse(text); } catch { return text; }
}
function parsedHeaders(text) {
  return Object.fromEntries(text.split("\n").filter((line) => line.trim()).map((line) => {
    const colon = line.indexOf(":");
    if (colon < 1) throw new Error("Write each header as “Name: value”.");
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim() || null];
  }));
}

function wanted() {
  const fault = { ...KINDS[form.elements.what.value][0] };
  for (const [name, text] of new FormData(form)) {
    const value = text.trim();
    if (name === "what" || !value) continue;
    if (NUMBERS.includes(name)) fault[name] = Number(value);
    else if (name === "headers") fault.headers = parsedHeaders(value);
    else if (name === "body") fault.body = parsedBody(value);
    else if (FLAGS.includes(name)) fault[name] = true;
    else fault[name] = value;
  }
  if (fault.probability !== undefined) fault.probability /= 100;
  if (!form.elements.times.value.trim()) fault.times = null;
  return fault;
}

function struck({ fired, times, seen }) {
  const count = times === null ? `struck ${fired}, without end` : `struck ${fired} of ${times}`;
  return fired || !seen ? count : `${count}; ${seen} matched`;
}

function faultView(fault) {
  const node = make("li", fault.fired ? "fired" : "", null,
    make("span", "number", fault.number), make("span", "words", fault.words),
    make("span", "struck", struck(fault)));
  node.id = `fault-${fault.number}`;
  node.tabIndex = -1;
  node.title = fault.plan;
  if (fault.fired) {
    const see = button("Show", () => tell("filter", { fault: fault.number }));
    see.setAttribute("aria-label", `Show the requests that fault ${fault.number} struck`);
    node.append(see);
  }
  const remove = button("Remove", () => shown(control("DELETE", `faults?number=${fault.number}`).then(() => say(`Fault ${fault.number} is gone`))));
  remove.setAttribute("aria-label", `Remove fault ${fault.number}`);
  node.append(remove);
  return node;
}

let drawn = "";
when("state", ({ faults }) => {
  if (JSON.stringify(faults) === drawn) return; // a redraw would take the focus from a button
  drawn = JSON.stringify(faults);
  const focused = document.activeElement?.getAttribute("aria-label");
  $("faults").replaceChildren(...faults.map(faultView));
  if (focused) $("faults").querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  $("no-faults").hidden = faults.length > 0;
  $("clear").hidden = faults.length < 2;
});
when("show-fault", (number) => {
  const node = $(`fault-${number}`);
  if (!node) { say("This fault was removed"); return; }
  node.scrollIntoView({ block: "center" });
  node.focus();
});
$("clear").addEventListener("click", () => shown(control("DELETE", "faults").then(() => say("All faults are gone"))));
form.addEventListener("change", arrange);
form.addEventListener("reset", () => setTimeout(arrange));
form.addEventListener("submit", (event) => {
  event.preventDefault();
  shown((async () => control("POST", "faults", wanted()))().then((fault) => { if (fault) say(`Fault ${fault.number} waits`); }));
});
arrange();
