// Log in at a local tenant with the authentication classes of the npm package auth0; argv: the module to require, the
// tenant's domain, a client id and its secret, and an API of which the client is granted `read:x`.
const assert = require("node:assert");

const [name, domain, clientId, clientSecret, audience] = process.argv.slice(2);
const { AuthenticationClient, ManagementClient, UserInfoClient } = require(name);

const DATABASE = "Username-Password-Authentication";
const email = "ann@example.com";
const password = "Analytical-1842";

async function main() {
  const auth = new AuthenticationClient({ domain, clientId, clientSecret });
  const made = await auth.database.signUp({ email, password, connection: DATABASE });
  assert.strictEqual(made.data.email, email);
  const weak = auth.database.signUp({ email: "bob@example.com", password: "weak", connection: DATABASE });
  await assert.rejects(weak, (error) => error.statusCode === 400);
  const grant = { username: email, password, realm: DATABASE, scope: "openid offline_access" };
  const { data } = await auth.oauth.passwordGrant(grant);
  const { data: user } = await new UserInfoClient({ domain }).getUserInfo(data.access_token);
  assert.strictEqual(user.sub, `auth0|${made.data._id || made.data.id}`);
  await auth.oauth.refreshTokenGrant({ refresh_token: data.refresh_token });
  await auth.oauth.revokeRefreshToken({ token: data.refresh_token });
  const revoked = auth.oauth.refreshTokenGrant({ refresh_token: data.refresh_token });
  await assert.rejects(revoked, (error) => error.error === "invalid_grant");
  const wrong = auth.oauth.passwordGrant({ ...grant, password: "Wrong-1842" });
  await assert.rejects(wrong, (error) => error.statusCode === 403);
  const machine = await auth.oauth.clientCredentialsGrant({ audience });
  assert.strictEqual(machine.data.scope, "read:x");

  const management = new ManagementClient({ domain, clientId, clientSecret });
  const found = await management.users.getAll({ q: `email:"${email}"` });
  assert.strictEqual(found.data.length, 1);
  const updated = await management.users.update({ id: user.sub }, { app_metadata: { plan: "pro" } });
  assert.deepStrictEqual(updated.data.app_metadata, { plan: "pro" });
  console.log("ok");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
