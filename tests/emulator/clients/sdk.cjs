// Drive a local tenant with the npm package auth0; argv: its URL, client id and secret.
const assert = require("node:assert");
const { ManagementClient } = require("auth0");

const [url, clientId, clientSecret] = process.argv.slice(2);
const DATABASE = "Username-Password-Authentication";
const CONNECTION = "con_localDatabase001";

// The SDK speaks https only; over http its fetch is ours to point elsewhere.
const local = (target, options) => fetch(String(target).replace(/^https:/, "http:"), options);
const settings = url.startsWith("http:") ? { fetch: local } : {};

async function main() {
  const client = new ManagementClient({ domain: new URL(url).host, clientId, clientSecret, ...settings });
  const made = await client.users.create({
    connection: DATABASE,
    email: "ann@example.com",
    password: "Analytical-1842",
    app_metadata: { plan: "free", old: 1 },
  });
  const updated = await client.users.update(made.user_id, {
    app_metadata: { plan: "pro", old: null },
    user_metadata: {},
  });
  assert.deepStrictEqual(updated.app_metadata, { plan: "pro" });
  assert.deepStrictEqual(updated.user_metadata, {});
  assert.strictEqual((await client.users.get(made.user_id)).email, "ann@example.com");

  const found = [];
  for await (const user of await client.users.list({ q: 'app_metadata.plan:"pro"' })) found.push(user.user_id);
  assert.deepStrictEqual(found, [made.user_id]);
  assert.strictEqual((await client.users.listUsersByEmail({ email: "ann@example.com" })).length, 1);

  const rows = JSON.stringify([{ email: "ann@example.com" }, { email: "bob@example.com" }]);
  const users = new File([rows], "users.json", { type: "application/json" });
  const job = await client.jobs.usersImports.create({ users, connection_id: CONNECTION });
  assert.strictEqual(job.status, "pending");
  assert.strictEqual((await client.jobs.get(job.id)).status, "completed");
  assert.strictEqual((await client.jobs.errors.get(job.id))[0].errors[0].code, "DUPLICATED_USER");
  const exported = await client.jobs.usersExports.create({ connection_id: CONNECTION, format: "json" });
  assert.ok((await client.jobs.get(exported.id)).location.startsWith(url));
  const mail = await client.jobs.verificationEmail.create({ user_id: made.user_id });
  assert.strictEqual((await client.jobs.get(mail.id)).status, "completed");

  await client.users.delete(made.user_id);
  await assert.rejects(client.users.get(made.user_id), (error) => error.statusCode === 404);
  console.log("ok");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
