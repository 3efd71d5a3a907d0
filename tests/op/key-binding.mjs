// OpenID Connect Key Binding 1.0 (draft 03), which the library does not know yet. What it knows is the proof itself
// (RFC 9449): it has verified it, and compared its key with the code's `dpop_jkt`, before an ID token is made. Added here:
// the scope, that the proof names the code, `cnf`, and the type. The token is signed by the provider's own key.

import { createHash } from 'node:crypto';
import { errors } from 'oidc-provider';

/** What a provider may do about key binding. */
export const ways = ['none', 'honest', 'promised'];

/** The scope, and what the person reads on the consent page. */
export const scope = ['bound_key', ['This device', 'the sign-in is bound to its key']];

const part = (jwt, n) => JSON.parse(Buffer.from(jwt.split('.')[n], 'base64url'));
const refuse = (ctx, condition, why) => ctx.assert(condition, new errors.InvalidDpopProof(why));

/** Has this provider bind its ID tokens where that is asked for. `promised` is one that says so and does not. */
export function bindKeys(provider, keys, way) {
  if (way !== 'honest') return;
  const { prototype } = provider.IdToken;
  const issue = prototype.issue;
  prototype.issue = async function bound(options) {
    const { AuthorizationCode: code, RefreshToken: refresh } = this.ctx?.oidc.entities ?? {};
    const source = code ?? refresh;
    if (options.use !== 'idtoken' || !source?.scopes.has(scope[0])) return issue.call(this, options);
    const proof = this.ctx.get('DPoP');
    refuse(this.ctx, proof && (refresh || code.dpopJkt), 'bound_key needs dpop_jkt and a proof');
    const [{ jwk }, { c_s256 }] = [part(proof, 0), part(proof, 1)];
    const named = code && createHash('sha256').update(this.ctx.oidc.params.code).digest('base64url');
    refuse(this.ctx, c_s256 === named, 'the proof names another code');
    this.set('cnf', { jwk });
    const plain = await issue.call(this, options);
    return keys.sign({ typ: 'dpop+id_token' }, part(plain, 1));
  };
}
