// A real OpenID provider (npm `oidc-provider`, OpenID-certified) with a few people and its own pages.
//
//   node op.mjs --state DIR [--port N] [--control N]
//
// Prints one line of JSON once it listens. Keys are made at the first start and kept in DIR, so that a restart is the
// same provider; sessions and codes are in memory only. `--control` opens a second port for tests (control.mjs).

import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Provider, interactionPolicy } from 'oidc-provider';
import { control } from './control.mjs';
import { interaction, over } from './interaction.mjs';
import { bindKeys, scope as boundKey } from './key-binding.mjs';
import { Keys } from './keys.mjs';
import { claimsOf, people, programs } from './people.mjs';
import { aboutYou, acrs, isStepUp, scopesOf } from './scopes.mjs';
import { Store } from './store.mjs';
import * as pages from './pages.mjs';

const { values: flags } = parseArgs({
  options: { port: { type: 'string', default: '0' }, state: { type: 'string' }, control: { type: 'string' } },
});
if (!flags.state) {
  console.error('op.mjs: --state DIR is needed: the signing key is kept there');
  process.exit(2);
}

const keys = new Keys(flags.state);
/** What this provider does not honor: `acr`, `sub`. Nothing, unless a test says so; many providers ignore both. */
const ignores = new Set();
/** The authorization requests so far. */
const asked = [];

/** How and when the person behind a token signed in, from what the token was made of. */
function signInOf(ctx) {
  const { AuthorizationCode, RefreshToken, DeviceCode } = ctx.oidc.entities;
  const source = AuthorizationCode ?? RefreshToken ?? DeviceCode;
  return source ? { acr: source.acr, amr: source.amr, auth_time: source.authTime } : {};
}

/** The library's own rules, save what `ignores` names. */
function rules() {
  const policy = interactionPolicy.base();
  const checks = policy.get('login').checks;
  for (const [reason, what] of [['essential_acrs', 'acr'], ['essential_acr', 'acr'], ['claims_id_token_sub_value', 'sub']]) {
    const one = checks.get(reason);
    const honest = one.check;
    one.check = (ctx) => !ignores.has(what) && honest(ctx);
  }
  return policy;
}

const native = {
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  redirect_uris: ['http://127.0.0.1/callback'],
  response_types: ['code'],
};

const configuration = {
  clients: [
    { ...native, client_id: 'countersign-approver', client_name: 'Countersign', grant_types: ['authorization_code', 'refresh_token'] },
    {
      ...native,
      client_id: 'countersign-cli',
      client_name: 'Countersign command line',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    },
    // A program that asks in its own name.
    {
      client_id: 'countersign-ci',
      client_secret: 'ci-demo',
      client_name: 'Nightly build',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
    },
  ],
  adapter: Store,
  cookies: { keys: keys.all.cookies },
  acrValues: Object.values(acrs),
  scopes: [...aboutYou.keys()].filter((scope) => scope !== boundKey[0]),
  claims: {
    openid: ['sub', 'acr', 'amr'],
    profile: ['name', 'acrs', 'tid', 'oid', 'device', 'location', 'realm_access', 'roles'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
    auth_time: null,
  },
  // Claims of the scopes go into the ID token as well, not only to the userinfo endpoint.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  interactions: { url: (ctx, one) => `/interaction/${one.uid}`, policy: rules() },
  findAccount: (ctx, sub) => (people.has(sub) ? { accountId: sub, claims: () => claimsOf(sub) } : undefined),
  // Consent is for the request at hand, never for a later one: `approve:…` is asked each time.
  loadExistingGrant: (ctx) => {
    const granted = ctx.oidc.result?.consent?.grantId;
    return granted ? ctx.oidc.provider.Grant.find(granted) : undefined;
  },
  // The approver's client gets a refresh token without `prompt=consent`: it asks with `prompt=login`, and its consent
  // page is shown every time anyway (`native_client_prompt` stays).
  issueRefreshToken: (ctx, client, code) =>
    client.grantTypeAllowed('refresh_token') && (client.clientId === 'countersign-approver' || code.scopes.has('offline_access')),
  rotateRefreshToken: true,
  extraTokenClaims: (ctx, token) => {
    if (!token.accountId) return programs.get(token.clientId);
    const { sub, ...claims } = claimsOf(token.accountId) ?? {};
    return { ...(isStepUp(String(token.aud)) ? {} : claims), ...signInOf(ctx) };
  },
  // Its guard against requests to inner addresses would also keep it from telling clients on this machine of a logout.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  features: {
    devInteractions: { enabled: false },
    claimsParameter: { enabled: true },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    revocation: { enabled: true },
    backchannelLogout: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => {
        const scopes = scopesOf(resource);
        if (!scopes) throw new InvalidTarget();
        const scope = [...scopes.keys()].join(' ');
        return { scope, audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg: 'RS256' } } };
      },
    },
    deviceFlow: {
      enabled: true,
      mask: '****-****',
      userCodeInputSource: (ctx, form, out, error) => {
        ctx.body = pages.deviceInput({ form, problem: error ? 'That is not a code that is waiting. Please check it.' : undefined });
      },
      userCodeConfirmSource: (ctx, form, client, info, code) => {
        ctx.body = pages.deviceConfirm({ form, client: client.clientName ?? client.clientId, code });
      },
      successSource: (ctx) => {
        const { clientName, clientId } = ctx.oidc.client;
        ctx.body = pages.deviceDone({ client: clientName ?? clientId });
      },
    },
  },
  renderError: (ctx, out) => {
    ctx.type = 'html';
    ctx.body = pages.failure({ title: 'This does not work', sentence: out.error_description ?? out.error });
  },
  ttl: {
    AccessToken: 600,
    AuthorizationCode: 60,
    ClientCredentials: 600,
    DeviceCode: 600,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 3600,
    RefreshToken: 86400,
    Session: 86400,
  },
};

class InvalidTarget extends Error {
  constructor() {
    super('invalid_target');
    Object.assign(this, { error: 'invalid_target', error_description: 'this provider does not know that resource', status: 400, statusCode: 400, expose: true });
  }
}

const server = createServer();
const listen = (port) => new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve));
await listen(flags.port);
const { port } = server.address();
const issuer = `http://127.0.0.1:${port}`;

/** What it does about key binding (key-binding.mjs): nothing, unless a test says so. */
let binding = 'none';

/** The library with the keys of the moment. */
function make() {
  const scopes = binding === 'none' ? configuration.scopes : [...configuration.scopes, boundKey[0]];
  const made = new Provider(issuer, { ...configuration, scopes, jwks: keys.all.jwks });
  bindKeys(made, keys, binding);
  made.on('interaction.started', (ctx) => {
    if (ctx.oidc.route !== 'authorization') return;
    const { client_id, prompt, max_age, scope, resource, claims, dpop_jkt } = ctx.oidc.params;
    const pushed = ctx.oidc.entities.PushedAuthorizationRequest !== undefined;
    asked.push({ client_id, prompt, max_age, scope, resource, claims, dpop_jkt, pushed });
  });
  return made;
}

let provider = make();
let protocol = provider.callback();
server.on('request', (request, response) => {
  // Node's own header keeps the system's time when a test moves this provider's clock.
  response.setHeader('date', new Date().toUTCString());
  const [, , step] = /^\/interaction\/([A-Za-z0-9_-]+)(?:\/([a-z]+))?$/.exec(request.url) ?? [];
  if (!request.url.startsWith('/interaction/')) return protocol(request, response);
  return interaction(provider, ignores, request, response, step ?? '').catch((error) => {
    over(response);
    console.error(`interaction: ${error.error ?? error.message}`);
  });
});

const door =
  flags.control === undefined
    ? undefined
    : await control(flags.control, {
        keys,
        ignores,
        asked,
        provider: () => provider,
        rotate: () => {
          keys.rotate();
          provider = make();
          protocol = provider.callback();
        },
        bind: (way) => {
          binding = way;
          provider = make();
          protocol = provider.callback();
        },
        setDown: async (down) => {
          if (!down) return listen(port);
          const closed = new Promise((resolve) => server.close(resolve));
          server.closeAllConnections();
          return closed;
        },
      });
console.log(JSON.stringify({ ready: 'op', issuer, control: door, pid: process.pid }));
