import { auth0 } from "../lib/auth0";

export default async function Home() {
  const session = await auth0.getSession();
  return <p>{session ? `Hello ${session.user.email}` : "nobody is logged in"}</p>;
}
