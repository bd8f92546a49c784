// express-openid-connect as in its README: an ID token by form, and every page needs a login.
const express = require("express");
const { auth } = require("express-openid-connect");

const [issuerBaseURL, clientID] = process.argv.slice(2);
const app = express();
const server = app.listen(0, "127.0.0.1", () => {
  const baseURL = `http://localhost:${server.address().port}`;
  app.use(auth({ issuerBaseURL, baseURL, clientID, secret: "a long random string of this test", idpLogout: true }));
  app.get("/", (request, response) => response.send(`Hello ${request.oidc.user.email}`));
  console.log(baseURL);
});
