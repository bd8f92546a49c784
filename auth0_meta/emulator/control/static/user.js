// One user: metadata that can be edited, what else there is to know, and what can be done.
import { control, manage } from "./api.js";
import { $, button, copy, fold, fullTime, jsonView, make, say, shown, tell, when } from "./dom.js";

let current = null;
const pathOf = (id) => `users/${encodeURIComponent(id)}`;
const article = $("user");

// Editing ------------------------------------------------------------------------------------------

// Auth0 merges the first level: only keys that differ are sent, and null deletes one.
function changesOf(before, after) {
  if (!Object.keys(after).length) return {};
  const changes = {};
  for (const key of Object.keys(before)) if (!(key in after)) changes[key] = null;
  for (const [key, value] of Object.entries(after)) if (JSON.stringify(value) !== JSON.stringify(before[key])) changes[key] = value;
  return changes;
}

function editor(name, profile, done) {
  const before = profile[name] ?? {};
  const field = make("textarea", "mono"), error = make("p", "error"), save = make("button", "go", "Save");
  field.value = JSON.stringify(before, null, 2);
  field.rows = Math.min(16, field.value.split("\n").length + 1);
  field.spellcheck = false;
  field.setAttribute("aria-label", `${name} as JSON`);
  error.setAttribute("role", "status");
  const check = () => {
    let value;
    try { value = JSON.parse(field.value); } catch (problem) { error.textContent = `Not valid JSON: ${problem.message}`; return null; }
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    error.textContent = isObject ? "" : "It must be an object: { … }";
    return isObject ? value : null;
  };
  field.addEventListener("input", check);
  const node = make("form", "editor", null, field, error, make("p", "actions", null, save, button("Cancel", done)));
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    const after = check();
    if (after === null) { field.focus(); return; }
    const changes = changesOf(before, after);
    if (JSON.stringify(before) === JSON.stringify(after)) { done(); return; }
    try {
      await manage("PATCH", pathOf(profile.user_id), { [name]: changes });
      say(`${name} was saved`);
      done();
    } catch (problem) { error.textContent = problem.message; }
  });
  return node;
}

function metadataView(name, profile) {
  const node = make("div", "bag");
  const draw = () => {
    const edit = button("Edit", () => {
      node.replaceChildren(make("h3", "", name), editor(name, profile, () => show(profile.user_id, true)));
      node.querySelector("textarea").focus();
    }, "small");
    edit.setAttribute("aria-label", `Edit ${name}`);
    node.replaceChildren(make("h3", "", name, edit), name in profile ? jsonView(profile[name]) : make("p", "muted", "absent"));
  };
  draw();
  return node;
}

// Tokens -------------------------------------------------------------------------------------------

function field(label, name, value, hint) {
  const input = make("input");
  Object.assign(input, { name, value, placeholder: hint, autocomplete: "off" });
  if (name === "audience") input.setAttribute("list", "audiences");
  return make("label", "", label, input);
}
function tokenView(id) {
  const node = make("form", "token", null,
    field("Audience", "audience", "", "your API's identifier; empty: the Management API"),
    field("Scope", "scope", "openid profile email", "separated by spaces"),
    make("button", "go", "Copy token"));
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = { subject: id, scope: node.elements.scope.value };
    if (node.elements.audience.value.trim()) wanted.audience = node.elements.audience.value.trim();
    shown(control("POST", "token", wanted).then(({ token }) => copy(token, "an access token")));
  });
  return fold("Copy an access token for this user", node);
}

// The view -----------------------------------------------------------------------------------------

const short = (value) => { const text = JSON.stringify(value); return text.length > 160 ? `${text.slice(0, 160)}…` : text; };
function changeView(change) {
  const node = make("li", "change", null, make("div", "head", null, make("span", "", change.by), make("span", "", fullTime(change.time))));
  for (const item of change.changed) {
    const line = make("div", "mono", `${item.path || "user"}: `);
    if ("before" in item) line.append(make("del", "", short(item.before)), " ");
    line.append("after" in item ? make("ins", "", short(item.after)) : make("ins", "", "removed"));
    node.append(line);
  }
  if (!change.changed.length) node.append(make("div", "muted", "nothing changed"));
  return node;
}

function actionsView(profile) {
  const blocked = profile.blocked === true;
  const name = profile.name || profile.email || profile.user_id;
  const block = button(blocked ? "Unblock" : "Block", () => shown(manage("PATCH", pathOf(profile.user_id), { blocked: !blocked }).then(() => {
    say(blocked ? "The user was unblocked" : "The user was blocked");
    tell("user-saved");
    return show(profile.user_id, true);
  })));
  const remove = button("Delete", () => {
    if (!confirm(`Delete ${name}? This can't be undone.`)) return;
    shown(manage("DELETE", pathOf(profile.user_id)).then(() => { say("The user was deleted"); welcome(); $("find").focus(); }));
  }, "danger");
  return make("p", "actions", null, block, remove,
    button("Copy id", () => copy(profile.user_id, "the user id")),
    button("Only this user's requests", () => tell("filter", { user: profile.user_id })));
}

function listOf(title, items) {
  return items.length ? make("p", "", null, make("b", "", `${title}: `), items.join(", ")) : "";
}

function view({ profile, history, roles, organizations, logs }) {
  const { user_metadata, app_metadata, ...rest } = profile;
  const who = make("h3", "who", rest.name || rest.email || rest.user_id);
  if (rest.blocked) who.append(make("em", "chip bad", "blocked"));
  const writes = history.length ? make("ol", "", null, ...history.map(changeView)) : make("p", "muted", "No writes since the tenant started.");
  const logged = logs.map((entry) => make("li", "", `${entry.date} · ${entry.type} · ${entry.description || entry.details?.error?.message || ""}`.replace(/ · $/, "")));
  const folds = [tokenView(rest.user_id), fold(`Log (${logs.length})`, make("ol", "logs", null, ...logged)), fold("Other fields", jsonView(rest))];
  const opened = [...article.querySelectorAll(":scope > details")].map((node) => node.open);
  folds.forEach((node, index) => { node.open = opened[index] ?? false; });
  return [
    who, make("code", "muted", rest.user_id), actionsView(profile),
    listOf("Roles", roles), listOf("Organizations", organizations),
    make("div", "metadata", null, metadataView("user_metadata", profile), metadataView("app_metadata", profile)),
    make("h3", "", "History, newest first"), writes, ...folds,
  ];
}

async function show(id, anew = false) {
  if (!anew && current === id && article.contains(document.activeElement)) {
    // Somebody types here or has the focus on a button: a redraw would take that away.
    if (article.querySelector(".editor, .token:focus-within")) return;
  }
  current = id;
  let value;
  try {
    value = await control("GET", `user?${new URLSearchParams({ id })}`);
  } catch (error) {
    if (current === id) article.replaceChildren(make("p", "empty", error.message));
    return;
  }
  if (current !== id) return;
  if (!anew && article.querySelector(".editor")) return;
  const label = article.contains(document.activeElement) ? document.activeElement.textContent : "";
  const scrolled = article.scrollTop;
  article.replaceChildren(...view(value));
  article.scrollTop = scrolled;
  if (label) [...article.querySelectorAll("button, summary")].find((node) => node.textContent === label)?.focus();
}

function welcome() {
  current = null;
  article.replaceChildren(make("p", "empty", "Choose a user to see and edit user_metadata and app_metadata."));
}

when("show-user", (id) => { show(id, true); });
when("requests", (entries) => {
  if (current !== null && entries.some((entry) => entry.committed && entry.user_id === current)) show(current);
});
when("reset", welcome);
welcome();
