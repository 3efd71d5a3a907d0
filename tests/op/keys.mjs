// The provider's keys: made once, kept in a folder, changed when a test says so.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createPrivateKey, createSign, generateKeyPairSync, randomBytes } from 'node:crypto';
import { join } from 'node:path';

function fresh() {
  const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
  return { ...jwk, kid: randomBytes(9).toString('base64url'), use: 'sig', alg: 'RS256' };
}

/** Keys and cookie secret of the provider whose state lies in `directory`. */
export class Keys {
  #path;

  constructor(directory) {
    this.#path = join(directory, 'op-keys.json');
    try {
      this.all = JSON.parse(readFileSync(this.#path, 'utf8'));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
      this.all = { jwks: { keys: [fresh()] }, cookies: [randomBytes(32).toString('base64url')] };
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      this.#write();
    }
  }

  #write() {
    writeFileSync(this.#path, JSON.stringify(this.all), { mode: 0o600 });
  }

  /** A new key in place of the old one, which is gone at once, as some providers do it. */
  rotate() {
    this.all.jwks = { keys: [fresh()] };
    this.#write();
  }

  /** A compact JWS under the key of the moment. */
  sign(header, payload) {
    const [jwk] = this.all.jwks.keys;
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const signed = `${part({ alg: 'RS256', kid: jwk.kid, ...header })}.${part(payload)}`;
    const key = createPrivateKey({ key: jwk, format: 'jwk' });
    return `${signed}.${createSign('RSA-SHA256').update(signed).sign(key).toString('base64url')}`;
  }
}
