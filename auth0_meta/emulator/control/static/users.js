// The list of users, the search in it, and the dialog that adds one.
import { control, manage } from "./api.js";
import { $, make, say, shown, tell, when } from "./dom.js";

const PAGE = 50;
const fresh = new Set(); // users that changed since they were opened last
let current = null, start = 0, total = -1, turn = 0, pending = 0;

const buttonOf = (id) => document.querySelector(`button.user[data-id="${CSS.escape(id)}"]`);

async function load(more = false) {
  const mine = ++turn; // responses may overtake each other: only the one to the latest request counts
  start = more ? start + PAGE : 0;
  const value = await control("GET", `users?${new URLSearchParams({ find: $("find").value, start, count: PAGE })}`);
  if (mine !== turn) return;
  const rows = value.users.map(rowView);
  const empty = make("li", "empty", $("find").value ? "No matching users." : "No users yet.");
  if (more) $("users").append(...rows);
  else $("users").replaceChildren(...(rows.length ? rows : [empty]));
  $("more").hidden = !value.more;
  mark();
}

function rowView(user) {
  const node = make("button", "user", null, make("b", "", user.name || user.email || user.user_id), make("span", "", user.user_id));
  if (user.blocked) node.firstElementChild.append(make("em", "chip bad", "blocked"));
  node.type = "button";
  node.dataset.id = user.user_id;
  node.addEventListener("click", () => tell("show-user", user.user_id));
  return make("li", "", null, node);
}

function mark() {
  for (const node of document.querySelectorAll("button.user")) {
    node.setAttribute("aria-current", String(node.dataset.id === current));
    node.classList.toggle("fresh", fresh.has(node.dataset.id));
  }
  $("fresh").hidden = !document.querySelector("button.user.fresh");
}

function refresh() {
  clearTimeout(pending);
  pending = setTimeout(() => shown(load()), 200);
}

when("state", (state) => {
  $("count").textContent = state.users.toLocaleString();
  if (state.users !== total) refresh();
  total = state.users;
});
when("requests", (entries) => {
  for (const entry of entries) if (entry.committed && entry.user_id && entry.user_id !== current) fresh.add(entry.user_id);
  mark();
});
when("show-user", (id) => {
  current = id;
  fresh.delete(id);
  mark();
});
when("user-saved", refresh);
when("reset", () => { fresh.clear(); current = null; refresh(); });
$("find").addEventListener("input", refresh);
$("more").addEventListener("click", () => shown(load(true)));

export function listKeys(event) {
  const buttons = [...document.querySelectorAll("button.user")];
  const here = buttons.indexOf(event.target), down = event.key === "ArrowDown";
  if (here < 0 && !(event.target === $("find") && down)) return false;
  (down ? buttons[here + 1] : here ? buttons[here - 1] : $("find"))?.focus();
  return true;
}

// Adding a user --------------------------------------------------------------------------------------

const dialog = $("add-user"), form = dialog.querySelector("form");

async function open() {
  const { connections } = await control("GET", "registered");
  form.elements.connection.replaceChildren(...connections.documents.map((connection) => {
    const option = make("option", "", connection.name);
    option.dataset.strategy = connection.strategy;
    return option;
  }));
  // Strong enough for every policy of Auth0's, which also forbid three equal characters in a row.
  form.elements.password.value = `Local-${[...crypto.getRandomValues(new Uint8Array(7))].map((byte) => `${"abcdefghjk"[byte % 10]}${byte >> 5}`).join("")}`;
  $("add-user-error").textContent = "";
  arrange();
  dialog.showModal();
}
function arrange() {
  const isDatabase = form.elements.connection.selectedOptions[0]?.dataset.strategy === "auth0";
  form.elements.password.disabled = form.elements.password.parentElement.hidden = !isDatabase;
}
form.elements.connection.addEventListener("change", arrange);
$("add").addEventListener("click", () => shown(open()));
form.addEventListener("submit", async (event) => {
  if (event.submitter?.value === "cancel") return;
  event.preventDefault();
  const body = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
  try {
    const user = await manage("POST", "users", body);
    dialog.close();
    form.reset();
    say("The user was added");
    tell("show-user", user.user_id);
  } catch (error) {
    $("add-user-error").textContent = error.message;
  }
});
