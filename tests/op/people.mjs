// The people of the demo and of the tests. A real provider would have them in a directory.

/** What the provider knows of each person. `password` is for this provider only and no secret: it is on the login page. */
export const people = new Map(
  [
    { sub: 'mara', name: 'Mara Lindqvist', role: 'orders developer', groups: ['orders-dev'] },
    { sub: 'elin', name: 'Elin Varga', role: 'database approver, auditor', groups: ['dba', 'auditors'] },
    { sub: 'jonas', name: 'Jonas Petersen', role: 'database approver', groups: ['dba'] },
    { sub: 'otto', name: 'Otto Brandt', role: 'outsider', groups: [] },
  ].map((person) => [person.sub, { ...person, email: `${person.sub}@harbor.example`, password: `${person.sub}-demo` }]),
);

/** The claims of a person, as they stand now. */
export function claimsOf(sub) {
  const person = people.get(sub);
  if (!person) return undefined;
  return { sub, name: person.name, email: person.email, email_verified: true, groups: [...person.groups] };
}
