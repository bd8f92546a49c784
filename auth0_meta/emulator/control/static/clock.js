// The tenant's clock.
import { control } from "./api.js";
import { $, fullTime, shown, when } from "./dom.js";

let now = 0, at = performance.now(), frozen = false;
export const tenantNow = () => now + (frozen ? 0 : (performance.now() - at) / 1000);

export function drawClock() {
  $("now").textContent = fullTime(tenantNow());
  $("now").className = frozen ? "frozen" : "";
}

when("state", (state) => {
  at = performance.now();
  now = state.now;
  frozen = state.frozen;
  $("freeze").textContent = frozen ? "Resume" : "Freeze";
});
$("freeze").addEventListener("click", () => shown(control("POST", "clock", { do: frozen ? "resume" : "freeze" })));
for (const step of document.querySelectorAll("[data-advance]")) {
  step.addEventListener("click", () => shown(control("POST", "clock", { do: "advance", seconds: Number(step.dataset.advance) })));
}
