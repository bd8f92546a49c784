// The page of a local tenant: starts the stream and handles the keys.
import { control, token } from "./api.js";
import { drawBuckets } from "./buckets.js";
import { drawClock } from "./clock.js";
import "./connect.js";
import { $, say, shown, tell, when } from "./dom.js";
import "./faults.js";
import "./journal.js";
import "./registered.js";
import { follow, noToken } from "./stream.js";
import "./user.js";
import { listKeys } from "./users.js";

when("state", (state) => { $("url").textContent = state.url; });
$("reset").addEventListener("click", () => {
  if (!confirm("Reset the tenant? The journal and the faults are deleted, and the users are again those of the start. What a --db file keeps stays.")) return;
  shown(control("POST", "reset", {}).then(() => { say("The tenant was reset"); tell("reset"); }));
});

// Keys ---------------------------------------------------------------------------------------------

const keys = $("keys"), single = $("single-keys"), SETTING = "single-keys";
try { single.checked = localStorage.getItem(SETTING) !== "off"; } catch { /* no storage: they are on */ }
single.addEventListener("change", () => {
  try { localStorage.setItem(SETTING, single.checked ? "on" : "off"); } catch { /* only for this visit, then */ }
});
$("show-keys").addEventListener("click", () => keys.showModal());

function rowKeys(event) {
  const rows = [...document.querySelectorAll("#entries summary")].filter((node) => node.parentElement.classList.contains("entry"));
  const here = rows.indexOf(event.target);
  if (here < 0) return false;
  rows[event.key === "ArrowDown" ? here + 1 : here - 1]?.focus();
  return true;
}
const SINGLE = {
  "/": () => $("find").focus(), f: () => $("filters").elements.path.focus(), l: () => $("follow").click(),
  j: () => document.querySelector("#entries summary")?.focus(), "?": () => keys.showModal(),
};
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && event.target.type === "search") {
    event.target.value = "";
    event.target.dispatchEvent(new Event("input", { bubbles: true }));
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (listKeys(event) || rowKeys(event)) event.preventDefault();
  } else if (SINGLE[event.key] && single.checked && !typing) {
    event.preventDefault();
    SINGLE[event.key]();
  }
});

setInterval(() => { drawClock(); drawBuckets(); }, 100);
if (token) {
  tell("start");
  follow();
} else noToken();
