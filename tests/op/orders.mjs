// A small orders API: what stands behind the gate. It trusts whoever can reach it, as many inner services do.
//
//   node orders.mjs [--port N] [--control N]
//
// `--control` opens a second port where tests and the demo read what really arrived: GET /received, DELETE /received.

import { createServer } from 'node:http';
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({ options: { port: { type: 'string', default: '0' }, control: { type: 'string', default: '0' } } });

const customers = new Map(
  [
    { id: '41', name: 'Almgren Textil AB', city: 'Borås', open_orders: 3 },
    { id: '42', name: 'Kestrel Outdoor Ltd', city: 'Leeds', open_orders: 0 },
    { id: '43', name: 'Molnár és Társa Kft.', city: 'Szeged', open_orders: 1 },
  ].map((customer) => [customer.id, customer]),
);
const prices = new Map([['A-100', { sku: 'A-100', cents: 1990 }]]);
const received = [];

async function body(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > 1 << 20) throw new Error('body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function answer(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(value)}\n`);
}

const api = createServer(async (request, response) => {
  const bytes = await body(request).catch(() => undefined);
  if (!bytes) return answer(response, 413, { error: 'the body is too large' });
  received.push({
    method: request.method,
    target: request.url,
    headers: request.rawHeaders,
    body: bytes.toString('utf8'),
    sha256: createHash('sha256').update(bytes).digest('base64url'),
  });
  const path = request.url.split('?')[0];
  if (request.method === 'GET' && path === '/healthz') return answer(response, 200, { status: 'ok' });
  if (request.method === 'GET' && path === '/customers') return answer(response, 200, [...customers.values()]);
  if (request.method === 'GET' && path === '/customers/export') return answer(response, 200, [...customers.values()]);
  const card = /^\/customers\/([^/]+)\/card$/.exec(path)?.[1];
  if (card && request.method === 'GET') return answer(response, 200, { customer: card, card: '**** **** **** 4242' });
  const credited = /^\/customers\/([^/]+)\/credits$/.exec(path)?.[1];
  if (credited && request.method === 'POST') return answer(response, 201, { customer: credited, credited: true });
  const order = /^\/orders\/([^/]+)\/refunds$/.exec(path)?.[1];
  if (order && request.method === 'POST') return answer(response, 201, { order, refunded: true });
  if (request.method === 'POST' && path === '/payouts') return answer(response, 201, { paid: true });
  const customer = /^\/customers\/([^/]+)$/.exec(path)?.[1];
  if (customer && request.method === 'GET') {
    return customers.has(customer) ? answer(response, 200, customers.get(customer)) : answer(response, 404, { error: 'no such customer' });
  }
  if (customer && request.method === 'DELETE') {
    return customers.delete(customer) ? answer(response, 200, { deleted: customer }) : answer(response, 404, { error: 'no such customer' });
  }
  const sku = /^\/prices\/([^/]+)$/.exec(path)?.[1];
  if (sku && request.method === 'DELETE') {
    return prices.delete(sku) ? answer(response, 200, { removed: sku }) : answer(response, 404, { error: 'no such price' });
  }
  if (sku && request.method === 'PUT') {
    let cents;
    try {
      ({ cents } = JSON.parse(bytes.toString('utf8')));
    } catch {
      return answer(response, 400, { error: 'the body is not JSON' });
    }
    if (!Number.isInteger(cents) || cents < 0) return answer(response, 400, { error: 'cents is a whole number, zero or more' });
    prices.set(sku, { sku, cents });
    return answer(response, 200, prices.get(sku));
  }
  return answer(response, 404, { error: 'no such thing' });
});

const control = createServer((request, response) => {
  if (request.method === 'GET' && request.url === '/received') return answer(response, 200, received);
  if (request.method === 'DELETE' && request.url === '/received') {
    received.length = 0;
    return answer(response, 200, []);
  }
  return answer(response, 404, { error: 'no such thing' });
});

const listen = (server, port) => new Promise((resolve) => server.listen(Number(port), '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`)));
const url = await listen(api, flags.port);
const controlUrl = await listen(control, flags.control);
console.log(JSON.stringify({ ready: 'orders', url, control: controlUrl, pid: process.pid }));
