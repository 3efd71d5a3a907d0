// Signs an ID token as somebody would who made a key of their own and gave it the provider's name for it.
//
//   node forge.mjs HEADER_JSON PAYLOAD_JSON   → a compact JWS, RS256
//
// For tests only: what it makes must be refused everywhere.

import { createSign, generateKeyPairSync } from 'node:crypto';

const [header, payload] = process.argv.slice(2);
const part = (json) => Buffer.from(JSON.stringify(JSON.parse(json))).toString('base64url');
const signed = `${part(header)}.${part(payload)}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
console.log(`${signed}.${createSign('RSA-SHA256').update(signed).sign(privateKey).toString('base64url')}`);
