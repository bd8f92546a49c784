// What else is registered: clients, connections, APIs, grants, roles and organizations.
import { control, manage } from "./api.js";
import { $, button, copy, fold, jsonView, make, say, shown, when } from "./dom.js";

const TITLES = {
  clients: "Clients", connections: "Connections", "resource-servers": "APIs", "client-grants": "Client grants",
  roles: "Roles", organizations: "Organizations",
};
const idOf = (one) => one.client_id && one.audience ? `${one.client_id} → ${one.audience}` : one.client_id ?? one.identifier ?? one.id ?? "";
let pending = 0;

function documentView(one) {
  const node = fold(one.name ?? idOf(one), make("p", "muted mono", idOf(one)), jsonView(one));
  if (one.client_id && !one.audience) node.children[1].append(" ", button("Copy client id", () => copy(one.client_id, "the client id"), "small"));
  return make("li", "", null, node);
}

async function load() {
  const found = await control("GET", "registered");
  $("audiences").replaceChildren(...found["resource-servers"].documents.map((api) => make("option", "", api.identifier)));
  const opened = new Set([...$("kinds").children].filter((node) => node.open).map((node) => node.dataset.kind));
  $("kinds").replaceChildren(...Object.entries(found).map(([kind, { total, documents }]) => {
    const list = make("ul", "", null, ...documents.map(documentView));
    const node = fold(`${TITLES[kind] ?? kind} (${total.toLocaleString()})`, list);
    if (total > documents.length) node.append(make("p", "muted", `The first ${documents.length} are shown.`));
    node.dataset.kind = kind;
    node.open = opened.has(kind);
    return node;
  }));
}
function refresh() {
  clearTimeout(pending);
  pending = setTimeout(() => shown(load()), 300);
}

const form = $("add-client");
form.addEventListener("submit", (event) => {
  event.preventDefault();
  const callbacks = form.elements.callbacks.value.split(/[\s,]+/).filter(Boolean);
  shown(manage("POST", "clients", { name: form.elements.name.value.trim(), callbacks }).then((client) => {
    const secret = client.client_secret ? `\nAUTH0_CLIENT_SECRET=${client.client_secret}` : "";
    const text = `AUTH0_CLIENT_ID=${client.client_id}${secret}`;
    $("new-client").replaceChildren(make("pre", "", text), button("Copy", () => copy(text, "the client's id and secret")));
    form.reset();
    say("The client was added");
  }));
});

const OTHER = /^\/api\/v2\/(clients|connections|resource-servers|client-grants|roles|organizations)/;
when("requests", (entries) => { if (entries.some((entry) => entry.committed && OTHER.test(entry.path))) refresh(); });
when("reset", refresh);
when("start", refresh);
