"use strict";
// Values are shown as text only: nothing here writes markup, and the content security policy forbids it too.
const root = "/_emulator/";
const token = document.querySelector("meta[name=emulator-token]").content || location.hash.slice(1);
const $ = (id) => document.getElementById(id);
const state = { now: 0, at: performance.now(), frozen: false, buckets: [], past: [], seen: 0, user: null, start: 0, fresh: new Set() };

function make(tag, classes = "", text = null, ...children) {
  const node = document.createElement(tag);
  if (classes) node.className = classes;
  if (text !== null) node.textContent = text;
  node.append(...children);
  return node;
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

async function call(method, path, body) {
  const options = { method, headers: { "X-Emulator-Token": token }, cache: "no-store" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  try {
    const response = await fetch(root + path, options);
    const value = await response.json();
    if (!response.ok) throw new Error(value.message || `status ${response.status}`);
    notice("");
    return value;
  } catch (error) {
    notice(error instanceof TypeError ? "The tenant does not respond. Is it still running?" : error.message);
    throw error;
  }
}
const quietly = (promise) => promise.catch(() => undefined); // `call` has put the error on the page already

// Time ---------------------------------------------------------------------------------------------

const pad = (number) => String(number).padStart(2, "0");
function clockTime(seconds) {
  const date = new Date(seconds * 1000);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}
function fullTime(seconds) {
  const date = new Date(seconds * 1000);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clockTime(seconds)}`;
}
const tenantNow = () => state.now + (state.frozen ? 0 : (performance.now() - state.at) / 1000);

function drawClock() {
  $("now").textContent = fullTime(tenantNow());
  $("now").className = state.frozen ? "frozen" : "";
  $("freeze").textContent = state.frozen ? "Resume" : "Freeze";
  $("freeze").setAttribute("aria-pressed", String(state.frozen));
}

// The buckets ----------------------------------------------------------------------------------------

const GROUPS = {
  read_users: "reading users", write_users: "writing users", other: "other calls", token: "/oauth/token",
  password: "password grants", signup: "sign-ups", change_password: "password changes",
};
const UNITS = [["a second", 1], ["a minute", 60], ["an hour", 3600], ["a day", 86400]];
function rateText(perSecond) {
  // The first unit in which the rate is a whole number, as Auth0 publishes it: 100 a day, not 0 a second.
  const isWhole = (number) => number > .5 && Math.abs(number - Math.round(number)) < 1e-6;
  const [unit, seconds] = UNITS.find(([, size]) => isWhole(perSecond * size)) || UNITS[0];
  return `${+(perSecond * seconds).toFixed(2)} ${unit}`;
}
const MAX_CELLS = 50;

// Tokens over the last minute, one reading per tick.
const READINGS = 600;
function svg(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
function trace() {
  const view = svg("svg", { class: "trace", viewBox: `0 0 ${READINGS} 100`, preserveAspectRatio: "none", role: "img", "aria-label": "tokens over the last minute" });
  view.append(svg("line", { x1: 0, x2: READINGS, y1: 100, y2: 100 }), svg("polyline", { points: "" }));
  return view;
}
function drawTrace(view, past, part) {
  past.push(part);
  if (past.length > READINGS) past.shift();
  const from = READINGS - past.length;
  view.lastElementChild.setAttribute("points", past.map((value, i) => `${from + i},${(100 - 96 * value).toFixed(1)}`).join(" "));
}

function buildBuckets() {
  state.past = state.buckets.map(() => []);
  const rows = state.buckets.map((bucket) => {
    const all = ["read_users", "write_users", "other"].every((name) => bucket.groups.includes(name));
    const what = all ? "Management API" : bucket.groups.map((name) => GROUPS[name] || name).join(", ");
    const row = make("div", "bucket", null, make("span", "what", what), make("span", "figure"));
    const gauge = make("div", "gauge");
    for (let i = 0; i < Math.min(bucket.burst, MAX_CELLS); i++) gauge.append(make("i"));
    row.append(gauge, make("span", "note"), trace());
    return row;
  });
  $("buckets").replaceChildren(...(rows.length ? rows : [make("p", "empty", "No rate limit. Start the tenant with --rate-limit to see buckets drain and refill.")]));
}

function drawBuckets() {
  const passed = tenantNow() - state.now;
  state.buckets.forEach((bucket, index) => {
    const row = $("buckets").children[index];
    const tokens = Math.min(bucket.burst, bucket.tokens + passed * bucket.per_second);
    const whole = Math.floor(tokens + 1e-6);
    row.className = `bucket ${whole === 0 ? "dry" : tokens < bucket.burst / 4 ? "low" : ""}`;
    row.children[1].textContent = `${whole} of ${bucket.burst}`;
    const cells = row.children[2].children;
    const per = bucket.burst / cells.length;
    for (let i = 0; i < cells.length; i++) {
      cells[i].style.setProperty("--part", Math.max(0, Math.min(1, tokens / per - i)));
    }
    const rate = rateText(bucket.per_second);
    const full = (bucket.burst - tokens) / bucket.per_second;
    drawTrace(row.children[4], state.past[index], tokens / bucket.burst);
    row.children[3].textContent = full > 0.05 ? `${rate}, full in ${full.toFixed(1)} s` : `${rate}, full`;
  });
}

function tick() {
  drawClock();
  drawBuckets();
}
setInterval(tick, 100);

// The state -----------------------------------------------------------------------------------------

function firedText({ fired, times }) {
  if (!fired) return "waiting";
  return times === null ? `fired ${fired}×` : `fired ${fired} of ${times}`;
}
function onState(value) {
  const shape = JSON.stringify(value.buckets.map((bucket) => [bucket.groups, bucket.burst]));
  Object.assign(state, { now: value.now, at: performance.now(), frozen: value.frozen, buckets: value.buckets });
  if (shape !== state.shape) {
    state.shape = shape;
    buildBuckets();
  }
  $("url").textContent = value.url;
  $("requests").textContent = value.requests.toLocaleString();
  while ($("entries").childElementCount > value.requests) $("entries").lastElementChild.remove();
  if (!value.requests) emptyJournal();
  if (value.users !== state.total) {
    state.total = value.users;
    $("count").textContent = value.users.toLocaleString();
    refreshUsers();
  }
  const faults = value.faults.map((fault) => make("li", "", null,
    make("code", "", fault.plan),
    make("span", fault.fired ? "fired" : "waiting", firedText(fault))));
  $("faults").replaceChildren(...faults);
  $("clear").hidden = !faults.length;
  tick();
}

// Users ----------------------------------------------------------------------------------------------

let latest = 0; // responses may overtake each other: only the one to the latest request counts
async function loadUsers(more = false) {
  const turn = ++latest;
  state.start = more ? state.start + 50 : 0;
  const query = new URLSearchParams({ find: $("find").value, start: state.start, count: 50 });
  const value = await call("GET", `users?${query}`);
  if (turn !== latest) return;
  const items = value.users.map((user) => {
    const button = make("button", "user", null, make("b", "", user.name || user.email || user.user_id), make("span", "", user.user_id));
    button.type = "button";
    button.dataset.id = user.user_id;
    if (state.fresh.has(user.user_id)) button.classList.add("fresh");
    button.addEventListener("click", () => quietly(showUser(user.user_id)));
    return make("li", "", null, button);
  });
  if (more) $("users").append(...items);
  else $("users").replaceChildren(...(items.length ? items : [make("li", "empty", $("find").value ? "No matching users." : "No users yet.")]));
  $("more").hidden = !value.more;
  markCurrent();
}
let pending = 0;
function refreshUsers() {
  clearTimeout(pending);
  pending = setTimeout(() => quietly(loadUsers()), 200);
}
function markCurrent() {
  for (const button of document.querySelectorAll("button.user")) button.setAttribute("aria-current", String(button.dataset.id === state.user));
}

function jsonView(value) {
  const view = make("pre");
  const text = JSON.stringify(value, null, 2);
  let last = 0;
  for (const match of text.matchAll(/^( *)("(?:[^"\\]|\\.)*")(?=:)/gm)) {
    const start = match.index + match[1].length;
    view.append(text.slice(last, start), make("span", "k", match[2]));
    last = start + match[2].length;
  }
  view.append(text.slice(last));
  return view;
}
function metadataView(name, profile) {
  const body = name in profile ? jsonView(profile[name]) : make("pre", "muted", "absent");
  return make("div", "", null, make("h3", "", name), body);
}
const short = (value) => { const text = JSON.stringify(value); return text.length > 160 ? `${text.slice(0, 160)}…` : text; };
function changeView(change) {
  const node = make("div", "change", null, make("div", "head", null, make("span", "", change.by), make("span", "", fullTime(change.time))));
  for (const item of change.changed) {
    const line = make("div", "mono", `${item.path || "user"}: `);
    if ("before" in item) line.append(make("del", "", short(item.before)), " ");
    line.append("after" in item ? make("ins", "", short(item.after)) : make("ins", "", "removed"));
    node.append(line);
  }
  if (!change.changed.length) node.append(make("div", "muted", "no change"));
  return node;
}
async function showUser(id) {
  state.user = id;
  state.fresh.delete(id);
  document.querySelector(`button.user[data-id="${CSS.escape(id)}"]`)?.classList.remove("fresh");
  markCurrent();
  let value;
  try {
    value = await call("GET", `user?${new URLSearchParams({ id })}`);
  } catch {
    if (state.user === id) $("user").replaceChildren(make("p", "empty", "This user no longer exists."));
    return;
  }
  if (state.user !== id) return;
  const { user_metadata, app_metadata, ...rest } = value.profile;
  const scrolled = $("user").scrollTop;
  const details = make("details", "", null, make("summary", "muted", "Other fields"), jsonView(rest));
  details.open = $("user").querySelector("details")?.open ?? false;
  $("user").replaceChildren(
    make("p", "who", rest.name || rest.email || id), make("code", "muted", id),
    make("div", "metadata", null, metadataView("user_metadata", value.profile), metadataView("app_metadata", value.profile)),
    make("h3", "", "History, newest first"),
    ...(value.history.length ? value.history.map(changeView) : [make("p", "muted", "No writes since the tenant started.")]),
    make("h3", "", ""), details);
  $("user").scrollTop = scrolled;
}

// The journal ----------------------------------------------------------------------------------------

const MAX_ENTRIES = 500;
const OUTCOMES = {
  dropped_before_commit: "dropped before the write", dropped_after_commit: "dropped after the write",
  plan_raised: "a second writer or predicate raised",
};
function emptyJournal() {
  $("entries").replaceChildren(make("p", "empty", "No requests yet. They appear here as they arrive."));
}
function entryView(entry) {
  const status = entry.status ?? "dropped";
  const tone = entry.status === null || entry.status >= 500 ? "bad" : entry.status >= 400 ? "warn" : "";
  const left = entry.tokens === null ? "" : `${entry.tokens} left`;
  const path = make("code", "path", decodeURIComponentSafely(entry.path) + (entry.query ? `?${entry.query}` : ""));
  path.title = entry.path;
  const node = make("details", `entry new${entry.committed ? " writes" : ""}`, null, make("summary", "", null,
    make("span", "time", clockTime(entry.time)), make("span", "verb", entry.method), path,
    make("span", "left", left), make("span", `status ${tone}`, status)));
  node.setAttribute("role", "listitem");
  node.addEventListener("toggle", () => {
    if (node.childElementCount > 1) return;
    const facts = [`#${entry.number}`, entry.route || "no such route", entry.committed ? "written" : "nothing written"];
    if (entry.planned) facts.push("hit by a fault");
    if (entry.outcome !== "answered") facts.push(OUTCOMES[entry.outcome]);
    node.append(make("p", "meta", facts.join(" · ")));
    if (entry.body !== null) node.append(jsonView(entry.body));
  }, { once: true });
  return node;
}
function decodeURIComponentSafely(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}
function onRequests(entries) {
  state.seen = entries.at(-1).number;
  $("entries").querySelector(".empty")?.remove();
  if ($("follow").checked) {
    $("entries").prepend(...entries.map(entryView).reverse());
    while ($("entries").childElementCount > MAX_ENTRIES) $("entries").lastElementChild.remove();
  }
  let shown = false;
  for (const entry of entries) {
    if (!entry.committed || !entry.user_id) continue;
    if (entry.user_id === state.user) shown = true;
    else {
      state.fresh.add(entry.user_id);
      document.querySelector(`button.user[data-id="${CSS.escape(entry.user_id)}"]`)?.classList.add("fresh");
    }
  }
  if (shown) quietly(showUser(state.user));
}

// The stream.  EventSource can't send the token's header, so this reads its format from fetch ----------------

function link(word, text) {
  $("link").className = `link ${word}`;
  if ($("link").textContent !== text) $("link").textContent = text;
}
function onEvent(block) {
  let name = "", data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (name === "state") onState(JSON.parse(data));
  else if (name === "requests") onRequests(JSON.parse(data));
}
async function listen() {
  const response = await fetch(`${root}events?since=${state.seen}`, { headers: { "X-Emulator-Token": token }, cache: "no-store" });
  if (!response.ok) throw new Error((await response.json()).message);
  link("live", "live");
  notice("");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    blocks.forEach(onEvent);
  }
}
async function follow() {
  for (;;) {
    try { await listen(); } catch (error) { if (!(error instanceof TypeError)) notice(error.message); }
    link("lost", "disconnected, retrying");
    await new Promise((done) => setTimeout(done, 1500));
  }
}

// Buttons and keys -----------------------------------------------------------------------------------

$("freeze").addEventListener("click", () => quietly(call("POST", "clock", { do: state.frozen ? "resume" : "freeze" })));
for (const button of document.querySelectorAll("[data-advance]")) {
  button.addEventListener("click", () => quietly(call("POST", "clock", { do: "advance", seconds: Number(button.dataset.advance) })));
}
$("reset").addEventListener("click", () => {
  if (!confirm("Reset the tenant? This deletes all users, the journal and the faults, and restores the initial users.")) return;
  state.user = null;
  welcome();
  quietly(call("POST", "reset", {}).then(() => loadUsers()));
});
$("fault").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const fault = { ...JSON.parse(form.get("what")), times: Number(form.get("times")) };
  if (form.get("method")) fault.method = form.get("method");
  quietly(call("POST", "faults", fault));
});
$("clear").addEventListener("click", () => quietly(call("DELETE", "faults")));
$("find").addEventListener("input", refreshUsers);
$("more").addEventListener("click", () => quietly(loadUsers(true)));
$("add").addEventListener("click", () => quietly(call("POST", "users", {}).then((user) => showUser(user.user_id))));
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    $("find").focus();
  } else if (event.key === "Escape" && event.target === $("find")) {
    $("find").value = "";
    refreshUsers();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const buttons = [...document.querySelectorAll("button.user")];
    const here = buttons.indexOf(event.target);
    if (here < 0 && !(event.target === $("find") && event.key === "ArrowDown")) return;
    event.preventDefault();
    const next = event.key === "ArrowDown" ? buttons[here + 1] : here ? buttons[here - 1] : $("find");
    next?.focus();
  }
});

function welcome() {
  $("user").replaceChildren(make("p", "empty", "Choose a user to see user_metadata, app_metadata and their history."));
}
welcome();
emptyJournal();
$("clear").hidden = true;
if (token) follow();
else {
  link("lost", "no token");
  notice("This page needs the token of this run: open the address that the tenant printed when it started.");
}
