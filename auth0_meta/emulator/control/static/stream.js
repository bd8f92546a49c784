// The stream of events.  EventSource can't send the token's header, so this reads its format from fetch.
import { openEvents } from "./api.js";
import { $, notice, tell } from "./dom.js";

let seen = 0;

function link(word, text) {
  $("link").className = `link ${word}`;
  if ($("link").textContent !== text) $("link").textContent = text;
}

function onEvent(block) {
  let name = "", data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (!data) return;
  const value = JSON.parse(data);
  if (name === "requests") seen = value.at(-1).number;
  tell(name, value);
}

async function listen() {
  const response = await openEvents(seen);
  if (!response.ok) throw new Error((await response.json()).message);
  link("live", "live");
  notice("");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    blocks.forEach(onEvent);
  }
}

export async function follow() {
  for (;;) {
    try { await listen(); } catch (error) { if (!(error instanceof TypeError)) notice(error.message); }
    link("lost", "disconnected, retrying");
    await new Promise((done) => setTimeout(done, 1500));
  }
}

export function noToken() {
  link("lost", "no token");
  notice("This page needs the token of this run: open the address that the tenant printed when it started.");
}
