// A real OpenID provider (npm `oidc-provider`, OpenID-certified) with a few people and its own pages.
//
//   node op.mjs --state DIR [--port N] [--control N]
//
// Prints one line of JSON once it listens. Keys are made at the first start and kept in DIR, so that a restart is the
// same provider; sessions and codes are in memory only. `--control` opens a second port, for tests, to read and change people.

import { createServer } from 'node:http';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash, generateKeyPairSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Provider } from 'oidc-provider';
import { claimsOf, people } from './people.mjs';
import * as pages from './pages.mjs';

const { values: flags } = parseArgs({
  options: { port: { type: 'string', default: '0' }, state: { type: 'string' }, control: { type: 'string' } },
});
if (!flags.state) {
  console.error('op.mjs: --state DIR is needed: the signing key is kept there');
  process.exit(2);
}

/** The provider's secrets: made once, then read. */
function secrets(directory) {
  const path = join(directory, 'op-keys.json');
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  const kid = randomBytes(9).toString('base64url');
  const made = { jwks: { keys: [{ ...jwk, kid, use: 'sig', alg: 'RS256' }] }, cookies: [randomBytes(32).toString('base64url')] };
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(path, JSON.stringify(made), { mode: 0o600 });
  return made;
}

const kept = secrets(flags.state);
const loginAcr = 'urn:countersign:demo:password';
const apiScopes = 'orders approve:orders.delete';

/** A resource of the demo: the orders API, or a Countersign server on this machine (and its step-up resource). */
function isKnownResource(resource) {
  return resource.startsWith('urn:countersign:demo:') || /^http:\/\/127\.0\.0\.1:\d+(\/|$)/.test(resource);
}

/** How and when the person behind a token signed in, from what the token was made of. */
function signInOf(ctx) {
  const { AuthorizationCode, RefreshToken, DeviceCode } = ctx.oidc.entities;
  const source = AuthorizationCode ?? RefreshToken ?? DeviceCode;
  return source ? { acr: source.acr, amr: source.amr, auth_time: source.authTime } : {};
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
  ],
  jwks: kept.jwks,
  cookies: { keys: kept.cookies },
  acrValues: [loginAcr],
  scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
  claims: {
    openid: ['sub', 'acr', 'amr'],
    profile: ['name'],
    email: ['email', 'email_verified'],
    groups: ['groups'],
    auth_time: null,
  },
  // Claims of the scopes go into the ID token as well, not only to the userinfo endpoint.
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (ctx, sub) => (people.has(sub) ? { accountId: sub, claims: () => claimsOf(sub) } : undefined),
  // The approver's client gets a refresh token without `prompt=consent`: it asks with `prompt=login`, and its consent
  // page is shown every time anyway (`native_client_prompt` stays).
  issueRefreshToken: (ctx, client, code) =>
    client.grantTypeAllowed('refresh_token') && (client.clientId === 'countersign-approver' || code.scopes.has('offline_access')),
  extraTokenClaims: (ctx, token) => {
    if (!token.accountId) return undefined;
    const { sub, ...claims } = claimsOf(token.accountId) ?? {};
    return { ...claims, ...signInOf(ctx) };
  },
  features: {
    devInteractions: { enabled: false },
    claimsParameter: { enabled: true },
    dPoP: { enabled: true },
    revocation: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => {
        if (!isKnownResource(resource)) throw new InvalidTarget();
        return { scope: apiScopes, audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: 600, jwt: { sign: { alg: 'RS256' } } };
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
  ttl: { AccessToken: 600, IdToken: 3600, AuthorizationCode: 60, Interaction: 3600, Session: 86400, Grant: 86400, RefreshToken: 86400, DeviceCode: 600 },
};

class InvalidTarget extends Error {
  constructor() {
    super('invalid_target');
    Object.assign(this, { error: 'invalid_target', error_description: 'this provider does not know that resource', status: 400, statusCode: 400, expose: true });
  }
}

/** The form of a POST. Bounded: nothing that these pages send is longer than a kilobyte. */
async function form(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > 4096) throw new Error('form too long');
  }
  return new URLSearchParams(text);
}

function same(a, b) {
  const digest = (text) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

function send(response, status, html) {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-frame-options': 'DENY',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
  });
  response.end(html);
}

/** `/interaction/UID`, `…/login`, `…/confirm`, `…/abort`. */
async function interaction(provider, request, response, step) {
  const details = await provider.interactionDetails(request, response);
  const client = await provider.Client.find(details.params.client_id);
  const clientName = client.clientName ?? client.clientId;
  const base = `/interaction/${details.uid}`;
  const showLogin = (status, extra) => send(response, status, pages.login({ action: `${base}/login`, client: clientName, ...extra }));

  if (request.method === 'GET' && step === '') {
    if (details.prompt.name === 'login') return showLogin(200, { hint: details.params.login_hint });
    const asked = details.prompt.details;
    return send(
      response,
      200,
      pages.consent({
        action: `${base}/confirm`,
        abort: `${base}/abort`,
        client: clientName,
        person: claimsOf(details.session.accountId)?.name ?? details.session.accountId,
        // What it will see: what it asks for now, be it new or granted before.
        scopes: (asked.missingOIDCScope ?? String(details.params.scope ?? '').split(' ')).filter((s) => configuration.scopes.includes(s)),
        resources: Object.entries(asked.missingResourceScopes ?? {}),
      }),
    );
  }
  if (request.method === 'POST' && step === 'login' && details.prompt.name === 'login') {
    const fields = await form(request);
    const sub = (fields.get('login') ?? '').trim().toLowerCase().replace(/@harbor\.example$/, '');
    const person = people.get(sub);
    const right = same(fields.get('password') ?? '', person?.password ?? randomBytes(16).toString('hex'));
    if (!person || !right) return showLogin(401, { hint: sub, problem: 'That name and password do not belong together.' });
    const result = { login: { accountId: sub, acr: loginAcr, amr: ['pwd'], remember: true } };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
  if (request.method === 'POST' && step === 'confirm' && details.prompt.name === 'consent') {
    const { accountId } = details.session;
    const grant = (details.grantId && (await provider.Grant.find(details.grantId))) || new provider.Grant({ accountId, clientId: client.clientId });
    const asked = details.prompt.details;
    if (asked.missingOIDCScope) grant.addOIDCScope(asked.missingOIDCScope.join(' '));
    if (asked.missingOIDCClaims) grant.addOIDCClaims(asked.missingOIDCClaims);
    for (const [resource, scopes] of Object.entries(asked.missingResourceScopes ?? {})) grant.addResourceScope(resource, scopes.join(' '));
    const grantId = await grant.save();
    return provider.interactionFinished(request, response, { consent: { grantId } }, { mergeWithLastSubmission: true });
  }
  if (request.method === 'POST' && step === 'abort') {
    const result = { error: 'access_denied', error_description: 'the person declined' };
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  }
  return send(response, 404, pages.failure({ title: 'Not found', sentence: 'This page belongs to another step of the sign-in.' }));
}

const server = createServer();
await new Promise((resolve) => server.listen(Number(flags.port), '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, configuration);
const protocol = provider.callback();
server.on('request', (request, response) => {
  // Node's own header keeps the system's time when a test moves this provider's clock.
  response.setHeader('date', new Date().toUTCString());
  const [, , step] = /^\/interaction\/([A-Za-z0-9_-]+)(?:\/([a-z]+))?$/.exec(request.url) ?? [];
  if (!request.url.startsWith('/interaction/')) return protocol(request, response);
  return interaction(provider, request, response, step ?? '').catch((error) => {
    if (!response.headersSent) send(response, 400, pages.failure({ title: 'This sign-in is over', sentence: 'Please start it again from the program that sent you here.' }));
    console.error(`interaction: ${error.error ?? error.message}`);
  });
});

/** The body of a test's wish. */
async function wish(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
}

/**
 * For tests: `GET /people/SUB`, `PUT /people/SUB {"groups": […]}`, and `PUT /clock {"secs": N}`, which sets how far this
 * provider's clock is ahead. Never on the provider's own port.
 */
async function control(port) {
  const SystemDate = Date;
  const door = createServer(async (request, response) => {
    if (request.method === 'PUT' && request.url === '/clock') {
      const { secs } = await wish(request);
      const now = () => SystemDate.now() + 1000 * Number(secs);
      globalThis.Date = class extends SystemDate {
        constructor(...given) {
          super(...(given.length ? given : [now()]));
        }
        static now() {
          return now();
        }
      };
      return response.writeHead(204).end();
    }
    const person = people.get(request.url.replace('/people/', ''));
    if (!person) return response.writeHead(404).end();
    if (request.method === 'PUT') person.groups = (await wish(request)).groups.map(String);
    return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(claimsOf(person.sub)));
  });
  await new Promise((resolve) => door.listen(Number(port), '127.0.0.1', resolve));
  return `http://127.0.0.1:${door.address().port}`;
}

const controlUrl = flags.control === undefined ? undefined : await control(flags.control);
console.log(JSON.stringify({ ready: 'op', issuer, control: controlUrl, pid: process.pid }));
