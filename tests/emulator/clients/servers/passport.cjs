// passport-auth0 as in its README: a code, and the profile from /userinfo.
const express = require("express");
const session = require("express-session");
const passport = require("passport");
const Auth0Strategy = require("passport-auth0");

const [domain, clientID, clientSecret] = process.argv.slice(2);
const app = express();
app.use(session({ secret: "a long random string of this test", resave: false, saveUninitialized: false }));
const server = app.listen(0, "127.0.0.1", () => {
  const baseURL = `http://localhost:${server.address().port}`;
  const options = { domain, clientID, clientSecret, callbackURL: `${baseURL}/callback` };
  passport.use(new Auth0Strategy(options, (accessToken, refreshToken, extraParams, profile, done) => done(null, profile)));
  passport.serializeUser((user, done) => done(null, user));
  passport.deserializeUser((user, done) => done(null, user));
  app.use(passport.initialize(), passport.session());
  app.get("/login", passport.authenticate("auth0", { scope: "openid email profile" }));
  app.get("/callback", passport.authenticate("auth0", { failureRedirect: "/failed" }), (request, response) => response.redirect("/"));
  app.get("/failed", (request, response) => response.send("The login failed."));
  app.get("/logout", (request, response, next) => request.logout((error) => {
    if (error) return next(error);
    const query = new URLSearchParams({ client_id: clientID, returnTo: baseURL });
    response.redirect(`https://${domain}/v2/logout?${query}`);
  }));
  app.get("/", (request, response) => response.send(request.user ? `Hello ${request.user.emails[0].value} ${request.user.id}` : "nobody is logged in"));
  console.log(baseURL);
});
