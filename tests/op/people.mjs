// The people of the demo and of the tests. A real provider would have them in a directory.

/**
 * What the provider knows of each person. `password` and `code` are for this provider only and no secret: they are on
 * its pages. Who has no `code` has no second factor.
 */
export const people = new Map();

/** Somebody who has an account from now on. */
export function join(person) {
  const { sub } = person;
  people.set(sub, { ...person, email: `${sub}@harbor.example`, password: `${sub}-demo`, claims: {} });
}

for (const person of [
  { sub: 'mara', name: 'Mara Lindqvist', role: 'orders developer', groups: ['orders-dev'], code: '204 118' },
  { sub: 'elin', name: 'Elin Varga', role: 'database approver, auditor', groups: ['dba', 'auditors'], code: '731 502' },
  { sub: 'jonas', name: 'Jonas Petersen', role: 'database approver', groups: ['dba'], code: '660 947' },
  { sub: 'noor', name: 'Noor Haddad', role: 'security officer', groups: ['security'], code: '583 026' },
  { sub: 'otto', name: 'Otto Brandt', role: 'outsider', groups: [] },
])
  join(person);

/** Programs that ask in their own name: what the provider says of them, by client. */
export const programs = new Map([['countersign-ci', {}]]);

/** The claims of a person, as they stand now. `claims` is what a test has set over them. */
export function claimsOf(sub) {
  const person = people.get(sub);
  if (!person) return undefined;
  return { sub, name: person.name, email: person.email, email_verified: true, groups: person.groups, ...person.claims };
}
