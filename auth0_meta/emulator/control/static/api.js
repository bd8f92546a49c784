// Requests to the tenant: control routes with the token of this run, and the APIs as any program calls them.
const root = "/_emulator/";
export const token = document.querySelector("meta[name=emulator-token]").content || location.hash.slice(1);
const withToken = { "X-Emulator-Token": token };

async function send(method, path, headers, body) {
  const options = { method, headers: { ...headers }, cache: "no-store", credentials: "omit" };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The tenant does not respond. Is it still running?");
  }
  const text = await response.text();
  let value = {};
  try { value = text ? JSON.parse(text) : {}; } catch { /* a proxy's page, from a fault */ }
  if (!response.ok) throw new Error(value.message || value.error_description || `status ${response.status}`);
  return value;
}

export const control = (method, path, body) => send(method, root + path, withToken, body);

// A real request to the Management API, so that rules, faults and the journal apply to it as to any other.
export async function manage(method, path, body) {
  const { token: bearer } = await control("POST", "token", {});
  return send(method, `/api/v2/${path}`, { Authorization: `Bearer ${bearer}` }, body);
}

export const openEvents = (since) => fetch(`${root}events?since=${since}`, { headers: withToken, cache: "no-store" });
