// How each tool connects, and what the tenant trusts.
import { control } from "./api.js";
import { $, copy, make, shown, when } from "./dom.js";

let scripts = {};
const draw = () => { $("recipe").textContent = scripts[$("tool").value] ?? ""; };

async function load() {
  scripts = await control("GET", "connect");
  $("tool").replaceChildren(...Object.keys(scripts).map((tool) => make("option", "", tool)));
  draw();
}

when("start", () => shown(load()));
when("state", (state) => {
  $("trust").hidden = $("any-token").hidden = state.strict;
  $("only-own").hidden = !state.strict;
});
$("tool").addEventListener("change", draw);
$("copy-recipe").addEventListener("click", () => copy($("recipe").textContent, `the lines for ${$("tool").value}`));
