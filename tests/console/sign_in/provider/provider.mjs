// An OpenID provider for the tests: oidc-provider, whose accounts, keys and clock a test can change under /admin.
//
// node provider.mjs FOLDER_OF_NODE_MODULES '{"port": 1, "origins": ["https://console.example"], "secret": "…", "accounts": {…}}'
import { createHash, createSign, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, given] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(join(modules, "oidc-provider", "lib", "index.js")));
const { port, origins, secret, accounts } = JSON.parse(given);
const issuer = `http://127.0.0.1:${port}`;
const state = { accounts, idTokenLifeS: 300, shiftMs: 0, key: undefined, provider: undefined, signedOut: 0 };

const page = (body) => `<!doctype html><html lang="en"><title>Provider of the tests</title><body>${body}</body></html>`;

function rotate() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const jwk = privateKey.export({ format: "jwk" });
  const kid = createHash("sha256").update(jwk.n).digest("hex").slice(0, 16);
  state.key = { privateKey, kid };
  state.provider = made({ ...jwk, kid, alg: "RS256", use: "sig" });
}

function made(jwk) {
  const provider = new Provider(issuer, {
    jwks: { keys: [jwk] },
    cookies: { keys: ["of-the-tests"] },
    clients: [
      {
        client_id: "keyturn-console",
        client_secret: secret,
        redirect_uris: origins.map((origin) => `${origin}/sign-in/callback`),
        post_logout_redirect_uris: origins.map((origin) => `${origin}/signed-out`),
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
      {
        client_id: "keyturn-cli",
        application_type: "native",
        token_endpoint_auth_method: "none",
        grant_types: ["urn:ietf:params:oauth:grant-type:device_code"],
        response_types: [],
        redirect_uris: [],
      },
    ],
    claims: { openid: ["sub"], profile: ["name", "preferred_username"], groups: ["groups"] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    ttl: {
      IdToken: () => state.idTokenLifeS, AccessToken: 300, AuthorizationCode: 60, DeviceCode: 600,
      Grant: 3600, Interaction: 600, Session: 3600,
    },
    findAccount: (ctx, id) => state.accounts[id] && { accountId: id, claims: () => ({ sub: id, ...state.accounts[id] }) },
    // Nobody is asked whether the console may know their groups; a command line's answer comes with the name.
    async loadExistingGrant(ctx) {
      const { client, session } = ctx.oidc;
      const grant = new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope("openid profile groups");
      await grant.save();
      return grant;
    },
    interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: (ctx, form) => { ctx.body = page(`${form}<button form="op.deviceInputForm">Go on</button>`); },
        userCodeConfirmSource: (ctx, form) => { ctx.body = page(`${form}<button form="op.deviceConfirmForm">Yes</button>`); },
        successSource: (ctx) => { ctx.body = page("<h1>Signed in</h1>"); },
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = page(`${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`);
        },
      },
    },
  });
  shiftTokens(provider.IdToken.prototype);
  provider.on("end_session.success", () => { state.signedOut += 1; });
  return provider;
}

// ID tokens are dated by a clock that a test can move; everything else is not, since browsers have clocks, too.
function shiftTokens(tokens) {
  const { issue } = tokens;
  tokens.issue = async function shifted(...given) {
    const { now } = Date;
    Date.now = () => now() + state.shiftMs;
    try {
      return await issue.apply(this, given);
    } finally {
      Date.now = now;
    }
  };
}

async function body(request) {
  let text = "";
  for await (const part of request) text += part;
  return text;
}

function signed({ header = {}, claims }) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const head = `${part({ alg: "RS256", kid: state.key.kid, ...header })}.${part(claims)}`;
  return `${head}.${createSign("sha256").update(head).sign(state.key.privateKey).toString("base64url")}`;
}

async function admin(request, response) {
  const asked = JSON.parse((await body(request)) || "{}");
  if (request.url === "/admin/rotate") rotate();
  else if (request.url === "/admin/set") Object.assign(state, asked);
  else if (request.url === "/admin/groups") state.accounts[asked.account].groups = asked.groups;
  const told = request.url === "/admin/sign" ? { token: signed(asked) } : { kid: state.key.kid, signedOut: state.signedOut };
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify(told));
}

async function interact(request, response) {
  if (request.method === "GET") {
    const buttons = Object.keys(state.accounts).map((id) => `<button name="account" value="${id}">${id}</button>`);
    response.setHeader("Content-Type", "text/html");
    response.end(page(`<form method="post"><h1>Who are you?</h1>${buttons.join(" ")}</form>`));
    return;
  }
  const account = new URLSearchParams(await body(request)).get("account");
  const result = account ? { login: { accountId: account }, consent: {} } : { error: "access_denied" };
  await state.provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

rotate();
createServer((request, response) => {
  if (request.url.startsWith("/admin/")) return admin(request, response);
  if (request.url.startsWith("/interaction/")) return interact(request, response);
  return state.provider.callback()(request, response);
}).listen(port, "127.0.0.1");
