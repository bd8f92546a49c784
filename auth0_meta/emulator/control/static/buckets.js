// The rate limit: a slim strip of the buckets that are used; those that nobody has used are folded.
import { tenantNow } from "./clock.js";
import { $, counted, make, when } from "./dom.js";

const GROUPS = {
  read_users: "Reading users", write_users: "Writing users", other: "Other calls", token: "Tokens",
  password: "Password logins", signup: "Sign-ups", change_password: "Password changes",
};
const UNITS = [["a second", 1], ["a minute", 60], ["an hour", 3600], ["a day", 86400]];
let buckets = [], now = 0, shape = "";

function title(bucket) {
  const all = ["read_users", "write_users", "other"].every((name) => bucket.groups.includes(name));
  return all ? "Management API" : bucket.groups.map((name) => GROUPS[name] || name).join(", ");
}

export function rateText(perSecond) {
  // The first unit in which the rate is a whole number, as Auth0 publishes it: 100 a day, not 0 a second.
  const isWhole = (number) => number > .5 && Math.abs(number - Math.round(number)) < 1e-6;
  const [unit, seconds] = UNITS.find(([, size]) => isWhole(perSecond * size)) || UNITS[0];
  return `${+(perSecond * seconds).toFixed(2)} ${unit}`;
}

function build() {
  const rows = buckets.map((bucket) => {
    const gauge = make("progress");
    gauge.max = bucket.burst;
    gauge.setAttribute("aria-label", `${title(bucket)}: tokens left`);
    const row = make("div", "bucket", null, make("span", "what", title(bucket)), make("span", "figure"), gauge, make("span", "note"));
    row.hidden = !bucket.used;
    return row;
  });
  $("buckets").replaceChildren(...rows);
  drawIdle();
}

function drawIdle() {
  const idle = buckets.filter((bucket) => !bucket.used);
  $("idle").hidden = !idle.length;
  $("idle").firstElementChild.textContent = idle.length < buckets.length ? `${counted(idle.length, "more bucket")}, full` : `${counted(idle.length, "bucket")}, full`;
  $("idle").lastElementChild.replaceChildren(...idle.map((bucket) => make("li", "", `${title(bucket)}: ${bucket.burst}, ${rateText(bucket.per_second)}`)));
}

export function drawBuckets() {
  const passed = tenantNow() - now;
  buckets.forEach((bucket, index) => {
    const row = $("buckets").children[index];
    const tokens = Math.min(bucket.burst, bucket.tokens + passed * bucket.per_second);
    const whole = Math.floor(tokens + 1e-6);
    row.className = `bucket ${whole === 0 ? "dry" : tokens < bucket.burst / 4 ? "low" : ""}`;
    row.children[1].textContent = `${whole} of ${bucket.burst}`;
    row.children[2].value = tokens;
    const full = (bucket.burst - tokens) / bucket.per_second;
    row.children[3].textContent = rateText(bucket.per_second) + (full > .05 ? `, full in ${full.toFixed(1)} s` : "");
  });
}

when("state", (state) => {
  buckets = state.buckets;
  now = state.now;
  $("rate").hidden = !buckets.length;
  const found = JSON.stringify(buckets.map((bucket) => [bucket.groups, bucket.burst, bucket.used]));
  if (found === shape) return;
  shape = found;
  build();
});
