// The steps between an authorization request and its answer: password, second factor where it is asked for, consent.
//
//   GET  /interaction/UID                 the page of the step that is due
//   POST /interaction/UID/login|code|confirm|abort

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { claimsOf, people } from './people.mjs';
import { acrs } from './scopes.mjs';
import * as pages from './pages.mjs';

/** How long a right password waits for its code. */
const codeWithin = 300_000;

/** Interactions in which the password was right and the code is awaited: uid → who, since when. */
const half = new Map();

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

/** What an authorization request wants of the sign-in: which `acr` will do (none: any), and whose it must be. */
export function wanted(params) {
  const { acr, sub } = JSON.parse(params.claims ?? '{}').id_token ?? {};
  return { acrs: acr?.values ?? (acr?.value ? [acr.value] : []), sub: sub?.value };
}

/** One step of one interaction. `ignores` names what this provider does not honor just now. */
export async function interaction(provider, ignores, request, response, step) {
  const details = await provider.interactionDetails(request, response);
  const client = await provider.Client.find(details.params.client_id);
  const clientName = client.clientName ?? client.clientId;
  const base = `/interaction/${details.uid}`;
  const finish = (result, mergeWithLastSubmission) =>
    provider.interactionFinished(request, response, result, { mergeWithLastSubmission });
  const due = `${request.method} ${step} ${details.prompt.name}`;
  const want = wanted(details.params);

  const showLogin = (status, extra) =>
    send(response, status, pages.login({ action: `${base}/login`, client: clientName, as: claimsOf(want.sub)?.name, ...extra }));
  const showCode = (status, sub, problem) =>
    send(response, status, pages.code({ action: `${base}/code`, abort: `${base}/abort`, client: clientName, code: people.get(sub).code, problem }));

  switch (due) {
    case 'GET  login':
      return showLogin(200, { hint: details.params.login_hint ?? want.sub });
    case 'POST login login': {
      const fields = await form(request);
      const sub = (fields.get('login') ?? '').trim().toLowerCase().replace(/@harbor\.example$/, '');
      const person = people.get(sub);
      const right = same(fields.get('password') ?? '', person?.password ?? randomBytes(16).toString('hex'));
      if (!person || !right) return showLogin(401, { hint: sub, problem: 'That name and password do not belong together.' });
      if (want.sub && want.sub !== sub && !ignores.has('sub')) {
        return showLogin(401, { hint: want.sub, problem: 'This sign-in is for another account.' });
      }
      if (ignores.has('acr') || want.acrs.length === 0 || want.acrs.includes(acrs.password)) {
        return finish({ login: { accountId: sub, acr: acrs.password, amr: ['pwd'], remember: true } }, false);
      }
      if (!want.acrs.includes(acrs.code) || !person.code) {
        return finish({ error: 'unmet_authentication_requirements', error_description: 'this person cannot sign in that way' }, false);
      }
      half.set(details.uid, { sub, since: Date.now() });
      return showCode(200, sub);
    }
    case 'POST code login': {
      const waiting = half.get(details.uid);
      if (!waiting || Date.now() - waiting.since > codeWithin) return showLogin(401, { problem: 'That took too long. Please begin again.' });
      const digits = ((await form(request)).get('code') ?? '').replace(/\D/g, '');
      if (!same(digits, people.get(waiting.sub).code.replace(/\D/g, ''))) return showCode(401, waiting.sub, 'That is not the code.');
      half.delete(details.uid);
      return finish({ login: { accountId: waiting.sub, acr: acrs.code, amr: ['pwd', 'otp', 'mfa'], remember: true } }, false);
    }
    case 'GET  consent':
      return send(
        response,
        200,
        pages.consent({
          action: `${base}/confirm`,
          abort: `${base}/abort`,
          client: clientName,
          person: claimsOf(details.session.accountId)?.name ?? details.session.accountId,
          scopes: details.prompt.details.missingOIDCScope ?? [],
          resources: Object.entries(details.prompt.details.missingResourceScopes ?? {}),
        }),
      );
    case 'POST confirm consent': {
      const allowed = new Set((await form(request)).getAll('scope'));
      // A grant of its own for each request: what was consented to once is asked again the next time.
      const grant = new provider.Grant({ accountId: details.session.accountId, clientId: client.clientId });
      const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = details.prompt.details;
      if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
      if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
      for (const [resource, scopes] of Object.entries(missingResourceScopes ?? {})) {
        for (const scope of scopes) {
          if (allowed.has(scope)) grant.addResourceScope(resource, scope);
          else grant.rejectResourceScope(resource, scope);
        }
      }
      return finish({ consent: { grantId: await grant.save() } }, true);
    }
    case 'POST abort login':
    case 'POST abort consent':
      half.delete(details.uid);
      return finish({ error: 'access_denied', error_description: 'the person declined' }, false);
    default:
      return send(response, 404, pages.failure({ title: 'Not found', sentence: 'This page belongs to another step of the sign-in.' }));
  }
}

/** What a page says when its interaction is over, or never was. */
export function over(response) {
  if (!response.headersSent) {
    send(response, 400, pages.failure({ title: 'This sign-in is over', sentence: 'Please start it again from the program that sent you here.' }));
  }
}
