/** Log-in at the issuer's own page: authorization code with PKCE (RFC 7636). No password is ever seen here. */

export const CLIENT = "petit-web";
const KEPT = "petit.login"; // what a log-in that is under way has to be asked for when the browser comes back

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const chance = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

let found = null;

/** Return where the issuer's endpoints are, at whatever origin: the gateway says who it is. Asked once. */
export function issuer() {
  return (found ??= ask().catch((error) => {
    found = null;
    throw error;
  }));
}

async function ask() {
  const answer = await fetch("/.well-known/petit", { credentials: "omit" });
  if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
  return `${(await answer.json()).issuer}/protocol/openid-connect`;
}

/** This page's address without what the issuer adds to it. */
function here() {
  const { origin, pathname, searchParams } = new URL(location.href);
  const as = searchParams.get("as");
  return as === null ? origin + pathname : `${origin}${pathname}?${new URLSearchParams({ as })}`;
}

/** Go to the issuer's page, to come back as somebody in one pane. */
export async function goToLogIn(pane) {
  const [verifier, state, uri] = [chance(), chance(), here()];
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  sessionStorage.setItem(KEPT, JSON.stringify({ pane, verifier, state, uri }));
  const asked = new URLSearchParams({
    client_id: CLIENT,
    response_type: "code",
    scope: "openid",
    redirect_uri: uri,
    state,
    code_challenge: base64url(new Uint8Array(hash)),
    code_challenge_method: "S256",
    login_hint: pane,
  });
  location.assign(`${await issuer()}/auth?${asked}`);
}

/** Return what the browser came back with, once: `{pane, form}` to be exchanged for tokens, `{pane, error}`, or null. */
export function comeBack() {
  const given = new URLSearchParams(location.search);
  if (!given.has("state")) return null;
  history.replaceState(null, "", here());
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  if (kept?.state !== given.get("state")) return null; // not our log-in: somebody made the browser come here
  const { pane, verifier, uri } = kept;
  if (!given.has("code")) return { pane, error: given.get("error_description") ?? given.get("error") };
  const code = given.get("code");
  return { pane, form: { grant_type: "authorization_code", code, redirect_uri: uri, code_verifier: verifier } };
}
