// Protect an API with express-oauth2-jwt-bearer, as its README does; argv: the tenant's URL, the API, a token with scope
// and permission `read:x`, and one without.
const assert = require("node:assert");
const express = require("express");
const { auth, claimIncludes, requiredScopes } = require("express-oauth2-jwt-bearer");

const [issuerBaseURL, audience, allowed, other] = process.argv.slice(2);
const app = express();
app.use(auth({ issuerBaseURL, audience }));
app.get("/scope", requiredScopes("read:x"), (request, response) => response.json(request.auth.payload));
app.get("/permission", claimIncludes("permissions", "read:x"), (request, response) => response.json({}));
app.use((error, request, response, next) => response.status(error.status || 500).json({}));

const server = app.listen(0, "127.0.0.1", async () => {
  const status = async (path, token) => {
    const headers = token ? { authorization: `Bearer ${token}` } : {};
    return (await fetch(`http://127.0.0.1:${server.address().port}${path}`, { headers })).status;
  };
  try {
    assert.deepStrictEqual([await status("/scope", allowed), await status("/permission", allowed)], [200, 200]);
    assert.deepStrictEqual([await status("/scope", other), await status("/permission", other)], [403, 401]);
    assert.strictEqual(await status("/scope"), 401);
    console.log("ok");
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  }
  server.close();
});
