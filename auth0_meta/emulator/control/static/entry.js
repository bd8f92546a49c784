// One row of the journal, and what it opens to.
import { control } from "./api.js";
import { button, clockTime, copy, counted, decoded, duration, fold, jsonView, make, tell } from "./dom.js";

const OUTCOMES = {
  dropped_before_commit: "the connection was closed before it took effect",
  dropped_after_commit: "it took effect, and the connection was closed without a response",
};

function statusView(entry) {
  const tone = entry.status === null || entry.status >= 500 ? "bad" : entry.status >= 400 ? "warn" : "";
  return make("span", `status ${tone}`, entry.status ?? "closed");
}

export function rowView(entry) {
  const path = make("code", "path", decoded(entry.path) + (entry.query ? `?${entry.query}` : ""));
  const what = make("span", "what", null, path);
  if (entry.reason) what.append(make("span", "why", entry.reason));
  const more = [entry.committed ? "wrote" : "", entry.tokens === null ? "" : `${entry.tokens} left`].filter(Boolean).join(", ");
  const summary = make("summary", "", null,
    make("span", "time", clockTime(entry.time)), make("span", "verb", entry.method), what,
    make("span", "more", more), make("span", "took", duration(entry.duration)), statusView(entry));
  const details = make("details", `entry${entry.committed ? " writes" : ""}`, null, summary);
  details.dataset.number = entry.number;
  details.addEventListener("toggle", async () => {
    if (details.childElementCount > 1) return;
    const view = make("div", "full", null, make("p", "muted", "loading"));
    details.append(view);
    try {
      view.replaceChildren(...fullView(await control("GET", `request?number=${entry.number}`)));
    } catch (error) {
      view.replaceChildren(make("p", "muted", error.message));
    }
  });
  return make("li", "", null, details);
}

function headersView(headers) {
  const rows = Object.entries(headers).map(([name, value]) => make("div", "", null, make("dt", "", name), make("dd", "", value)));
  return fold(counted(rows.length, "header"), make("dl", "headers", null, ...rows));
}

function bodyView(body, otherwise) {
  return body === null || body === undefined ? make("p", "muted", otherwise) : jsonView(body);
}

function responseView(entry) {
  if (!entry.response) return [make("p", "muted", "None: the connection was closed.")];
  const { status, headers, body, length } = entry.response;
  const kind = headers["content-type"]?.split(";")[0] || "no type";
  return [
    make("p", "", `${status}, in ${duration(entry.duration)}`), headersView(headers),
    bodyView(body, length ? `${counted(length, "byte")} of ${kind}, which are not shown.` : "No body."),
  ];
}

function fullView(entry) {
  const facts = [`No. ${entry.number}`, entry.route || "no such route"];
  if (entry.committed) facts.push("wrote something");
  else if (entry.method !== "GET" && entry.path.startsWith("/api/v2/")) facts.push("wrote nothing");
  if (entry.tokens !== null) facts.push(`${counted(entry.tokens, "token")} left in its bucket`);
  if (OUTCOMES[entry.outcome]) facts.push(OUTCOMES[entry.outcome]);
  const actions = make("p", "actions", null,
    button("Copy as curl", () => copy(entry.curl, "a curl command; put your token in $TOKEN")),
    button("Copy as assert_called", () => copy(entry.assert_called, "an assertion")),
    button("Only this path", () => tell("filter", { path: decoded(entry.path) })));
  if (entry.user_id) {
    actions.append(button("Only this user", () => tell("filter", { user: entry.user_id })));
    actions.append(button("Show the user", () => tell("show-user", entry.user_id)));
  }
  const why = make("p", "reason", entry.reason);
  if (entry.fault !== null) why.append(" ", button("Show the fault", () => tell("show-fault", entry.fault)));
  const type = entry.headers["content-type"]?.split(";")[0];
  return [
    ...(entry.reason ? [why] : []), make("p", "muted", facts.join(" · ")), actions,
    make("div", "sides", null,
      make("section", "", null, make("h3", "", "Request"), make("p", "", `${entry.method} ${decoded(entry.path)}`), headersView(entry.headers),
        bodyView(entry.body, type ? `A body of ${type}, which is not shown.` : "No body.")),
      make("section", "", null, make("h3", "", "Response"), ...responseView(entry))),
  ];
}
