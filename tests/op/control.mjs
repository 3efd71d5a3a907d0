// What tests may do to the provider, on a port of its own, never on the provider's:
//
//   GET  /people/SUB                                 the claims of a person
//   PUT  /people/SUB    {"groups": …, "claims": …}   change them; any shape, as directories have any shape; who is new joins
//   PUT  /programs/ID   {"claims": …}                what it says of a program that asks in its own name
//   PUT  /clock         {"secs": N}                  how far this provider's clock is ahead
//   PUT  /behavior      {"ignores": ["acr", "sub"]}  what it does not honor from now on
//   PUT  /binding       {"way": "none"}              what it does about key binding: none, honest, promised
//   PUT  /down          {"down": true}               nobody can reach it
//   POST /keys                                       a new signing key; the old one is gone
//   GET  /asked                                      the authorization requests so far, as they were understood
//   DELETE /sessions/SUB  {"tell": URI}              sign somebody out everywhere, and tell a client by back channel
//   POST /events        {"to": URI, "header": …, "claims": …}   sign a security event token and push it (RFC 8935)

import { createServer } from 'node:http';
import { ways } from './key-binding.mjs';
import { claimsOf, join, people, programs } from './people.mjs';
import { signOut } from './store.mjs';

async function wish(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text || '{}');
}

const SystemDate = Date;

function setClock(secs) {
  const now = () => SystemDate.now() + 1000 * Number(secs);
  globalThis.Date = class extends SystemDate {
    constructor(...given) {
      super(...(given.length ? given : [now()]));
    }
    static now() {
      return now();
    }
  };
}

/** Pushes a security event token and gives the receiver's answer. */
async function push(to, token) {
  const answer = await fetch(to, {
    method: 'POST',
    headers: { 'content-type': 'application/secevent+jwt', accept: 'application/json' },
    body: token,
  });
  return { status: answer.status, body: await answer.text() };
}

/** Opens the door. `op` has `keys`, `ignores`, `asked`, `provider()`, `rotate()`, `bind()`, `setDown()`. */
export async function control(port, op) {
  const acts = {
    'GET people': (sub) => claimsOf(sub),
    'PUT people': (sub, { groups, claims }) => {
      if (!people.has(sub)) join({ sub, name: sub, role: 'newcomer', groups: [] });
      const person = people.get(sub);
      if (groups !== undefined) person.groups = groups;
      if (claims !== undefined) person.claims = claims;
      return claimsOf(sub);
    },
    'PUT programs': (id, { claims }) => {
      programs.set(id, claims);
    },
    'PUT clock': (_, { secs }) => setClock(secs),
    'PUT behavior': (_, { ignores }) => {
      op.ignores.clear();
      for (const one of ignores) op.ignores.add(one);
    },
    'PUT binding': (_, { way }) => {
      if (!ways.includes(way)) throw new Error(`no way to bind keys: ${way}`);
      op.bind(way);
    },
    'PUT down': (_, { down }) => op.setDown(down),
    'POST keys': () => op.rotate(),
    'GET asked': () => op.asked,
    'DELETE sessions': async (sub, { tell }) => {
      signOut(sub);
      if (!tell) return undefined;
      const client = await op.provider().Client.find('countersign-approver');
      client.backchannelLogoutUri = tell;
      await client.backchannelLogout(sub);
      return undefined;
    },
    'POST events': (_, { to, header, claims }) => {
      const now = Math.floor(Date.now() / 1000);
      const jti = `${now}-${Math.random().toString(36).slice(2)}`;
      return push(to, op.keys.sign({ typ: 'secevent+jwt', ...header }, { iss: op.provider().issuer, iat: now, jti, ...claims }));
    },
  };
  const door = createServer(async (request, response) => {
    const [, what, sub] = request.url.split('/');
    const act = acts[`${request.method} ${what}`];
    if (!act || (request.method === 'GET' && what === 'people' && !people.has(sub))) return response.writeHead(404).end();
    try {
      const answer = await act(sub, request.method === 'GET' ? {} : await wish(request));
      if (answer === undefined) return response.writeHead(204).end();
      return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    } catch (error) {
      return response.writeHead(500, { 'content-type': 'text/plain' }).end(String(error.message));
    }
  });
  await new Promise((resolve) => door.listen(Number(port), '127.0.0.1', resolve));
  return `http://127.0.0.1:${door.address().port}`;
}
