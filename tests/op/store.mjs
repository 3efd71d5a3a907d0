// Where the provider keeps sessions, grants, codes and tokens: in memory, shared by all providers of this process, so that
// changing the keys signs nobody out, and so that signing somebody out finds everything of theirs.

const kept = new Map();

/** The storage that `oidc-provider` asks for, one for each kind of thing. */
export class Store {
  constructor(model) {
    this.model = model;
  }

  #key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    const until = expiresIn === undefined ? Infinity : Date.now() + expiresIn * 1000;
    kept.set(this.#key(id), { model: this.model, payload, until });
  }

  async find(id) {
    const found = kept.get(this.#key(id));
    return found && found.until > Date.now() ? found.payload : undefined;
  }

  async #findBy(member, value) {
    const all = [...kept.values()];
    return all.find((one) => one.model === this.model && one.until > Date.now() && one.payload[member] === value)?.payload;
  }

  async findByUid(uid) {
    return this.#findBy('uid', uid);
  }

  async findByUserCode(userCode) {
    return this.#findBy('userCode', userCode);
  }

  async consume(id) {
    const found = kept.get(this.#key(id));
    if (found) found.payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    kept.delete(this.#key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, one] of kept) if (one.payload.grantId === grantId) kept.delete(key);
  }
}

/** Forgets every session, grant and token of an account. */
export function signOut(accountId) {
  for (const [key, one] of kept) if (one.payload.accountId === accountId) kept.delete(key);
}
