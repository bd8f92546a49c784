// The journal: rows as they arrive, filters, and what was not served.
import { control } from "./api.js";
import { $, button, counted, decoded, make, say, shown, when } from "./dom.js";
import { rowView } from "./entry.js";

const MOST_KEPT = 10_000, STEP = 100;
const filters = $("filters");
let entries = [];   // oldest first, shown or not
let room = STEP;    // how many rows there may be
let held = 0;       // how many arrived while the list stood still
let fault = null;   // only rows that this fault struck
let kept = 0;       // how many the tenant's journal has: a page that is opened late gets the latest thousand

const STATUSES = {
  ok: (status) => status !== null && status < 400, refused: (status) => status >= 400 && status < 500,
  failed: (status) => status >= 500, none: (status) => status === null,
};
function matcher() {
  const { method, path, user, status, writes } = Object.fromEntries(
    [...filters.elements].filter((field) => field.name).map((field) => [field.name, field.type === "checkbox" ? field.checked : field.value.trim()]));
  return (entry) => (!method || entry.method === method)
    && (!path || `${decoded(entry.path)}?${entry.query} ${entry.route} ${entry.not_served}`.includes(path))
    && (!user || (entry.user_id ?? "").includes(user))
    && (!status || STATUSES[status](entry.status))
    && (!writes || entry.committed)
    && (fault === null || entry.fault === fault);
}
const isFiltered = () => fault !== null || [...filters.elements].some((field) => field.name && (field.type === "checkbox" ? field.checked : field.value));

function draw() {
  held = 0;
  const found = entries.filter(matcher()).reverse();
  const rows = found.slice(0, room).map(rowView);
  $("entries").replaceChildren(...rows);
  drawEnd(found.length);
}

function drawEnd(found) {
  const filtered = isFiltered();
  $("older").hidden = found <= room;
  $("show-all").hidden = !filtered;
  $("no-requests").hidden = entries.length > 0;
  const parts = [];
  if (filtered) parts.push(`${counted(found, "request")} of ${entries.length.toLocaleString()}`);
  if (fault !== null) parts.push(`struck by fault ${fault}`);
  if (kept > entries.length && entries.length) parts.push(`this page has the latest ${entries.length.toLocaleString()}`);
  if (held) parts.push(`${held.toLocaleString()} new: tick “live” to see them`);
  $("showing").textContent = parts.join(" · ");
}

function add(arrived) {
  entries = entries.concat(arrived).slice(-MOST_KEPT);
  const matches = matcher();
  if ($("follow").checked) {
    const rows = arrived.filter(matches).slice(-room).map(rowView).reverse();
    for (const row of rows) row.classList.add("new");
    $("entries").prepend(...rows);
    while ($("entries").childElementCount > room) $("entries").lastElementChild.remove();
  } else held += arrived.length;
  drawEnd(entries.filter(matches).length);
}

function drawUnserved(unserved) {
  const routes = Object.entries(unserved);
  $("unserved").hidden = !routes.length;
  $("unserved").firstElementChild.textContent = 
    `Not served: ${routes.slice(0, 2).map(([name, count]) => `${name}, ${counted(count, "time")}`).join("; ")}${routes.length > 2 ? `; and ${routes.length - 2} more` : ""}`;
  $("unserved").lastElementChild.replaceChildren(...routes.map(([name, count]) => make("li", "", null,
    button(name, () => filter({ path: name }), "plain"), ` ${counted(count, "time")}`)));
}

function filter(wanted) {
  filters.reset();
  fault = wanted.fault ?? null;
  for (const [name, value] of Object.entries(wanted)) if (filters.elements[name]) filters.elements[name].value = value;
  room = STEP;
  draw();
  $("journal").scrollIntoView({ block: "nearest" });
}

when("requests", add);
when("state", (state) => {
  kept = state.requests;
  $("requests").textContent = kept.toLocaleString();
  const oldest = state.total - state.requests;
  if (entries.length && entries[0].number <= oldest) { // cleared, or a limited journal has dropped them
    entries = entries.filter((entry) => entry.number > oldest);
    for (const row of document.querySelectorAll("#entries > li")) if (row.firstElementChild.dataset.number <= oldest) row.remove();
    drawEnd(entries.filter(matcher()).length);
  }
  drawUnserved(state.not_served);
});
when("filter", filter);
$("follow").addEventListener("change", () => { if ($("follow").checked) draw(); });
$("older").addEventListener("click", () => { room += STEP; draw(); });
$("clear-journal").addEventListener("click", () => shown(control("DELETE", "journal").then(() => say("The journal is empty"))));
for (const kind of ["input", "change"]) filters.addEventListener(kind, () => { room = STEP; draw(); }); // a select may send one only
filters.addEventListener("submit", (event) => event.preventDefault());
$("show-all").addEventListener("click", () => filter({}));
