/** The history, reports of verifying, and devices, as recorded. */
import type { Card, Device, HistoryQuery, Line, Row, VerifyReport } from "../../generated/ipc";
import { field, key, line, name, ours, punct, verb } from "./lines";
import { entry } from "./entries";
import { mara, NOW, row, vote } from "./cards";

const DAY = 86_400;
const at = (days: number, h: number, m: number) => NOW - (NOW % DAY) - days * DAY + h * 3600 + m * 60;

type Entry = [txn: string, what: string, who: string, initials: string, where: string, outcome: Row["outcome"], ended: number, by: string | null];
const entries: Entry[] = [
  ["past-1", "Deploy storefront 4.17.2", "Aino Korhonen", "AK", "deploy-prod", "redeemed", at(0, 11, 32), null],
  ["past-2", "Delete 1,204 rows from customers", "Mara Lindqvist", "ML", "orders-prod", "redeemed", at(0, 9, 48), null],
  ["past-3", "Call refund_payment", "ops-assistant", "OA", "payments", "denied", at(0, 9, 20), "Elin Varga"],
  ["past-4", "Update prices", "Tomas Wren", "TW", "catalog-prod", "redeemed", at(0, 8, 55), null],
  ["past-5", "Delete tenant 4301", "Idris Halloran", "IH", "billing-api", "expired", at(0, 8, 11), null],
  ["past-6", "Deploy ledger 2.9.1", "Ruben Achterberg", "RA", "deploy-prod", "redeemed", at(1, 17, 40), null],
  ["past-7", "Rotate the signing key", "Ines Okafor", "IO", "vault-prod", "approved", at(1, 16, 2), null],
  ["past-8", "Drop table audit_2019", "Mara Lindqvist", "ML", "orders-prod", "denied", at(1, 15, 33), "Elin Varga"],
  ["past-9", "Grant read on ledger", "Tove Sandström", "TS", "ledger-prod", "withdrawn", at(1, 13, 28), null],
  ["past-10", "Restart 3 nodes", "Aino Korhonen", "AK", "cluster-eu", "voided", at(2, 11, 5), null],
  ["past-11", "Delete 2 rows from api_keys", "Mara Lindqvist", "ML", "orders-prod", "redeemed", at(2, 10, 41), null],
];

export const pastRows: Row[] = entries.map(([txn, what, who, initials, where, outcome, ended, by]) => ({
  ...row({ txn, kind: "sql", requester: line(who), initials, summary: line(what), resource: line(where), age: 0, left: 0, approvals: outcome === "redeemed" || outcome === "approved" ? 2 : 0, needed: 2 }),
  asked_at: ended - 412,
  expires_at: ended + 200,
  outcome,
  ended_at: ended,
  ended_by: by === null ? null : line(by),
}));

/** The page that a query asks for, of the few that have a name: a search over the plain text. */
export function page(query: HistoryQuery, at: number, limit: number): { rows: Row[]; total: number } {
  const words = query.text.toLocaleLowerCase().split(/\s+/).filter((word) => word !== "");
  const text = (r: Row) => ` ${[r.summary, r.requester, r.resource].flatMap((l) => l.spans.map((span) => span.text)).join(" ").toLocaleLowerCase()}`;
  const found = pastRows.filter(
    (r) =>
      words.every((word) => text(r).includes(` ${word}`)) &&
      (query.outcomes.length === 0 || query.outcomes.includes(r.outcome)) &&
      (query.kinds.length === 0 || query.kinds.includes(r.kind)) &&
      (query.person === null || query.person === r.requester.spans[0]?.text) &&
      (query.account === null || query.account === r.account) &&
      (query.from === null || (r.ended_at ?? 0) >= query.from) &&
      (query.until === null || (r.ended_at ?? 0) < query.until) &&
      (!query.mine || r.outcome !== "expired"),
  );
  return { rows: found.slice(at, at + limit), total: found.length };
}

/** The card of an entry of which no more is recorded than its row says. */
function plain(found: Row): Card {
  const text = (of: Line) => of.spans.map((span) => span.text).join("");
  const [did, ...rest] = text(found.summary).split(" ");
  const who = text(found.requester);
  const card = mara();
  return {
    ...card,
    sentence: line(name(who), ours(" asks to "), verb((did ?? "").toLowerCase()), ours(" "), name(rest.join(" ")), ours(" in "), name(text(found.resource))),
    stamp: null,
    lifted: [],
    exhibit: { title: line(), lines: [line(key("action"), punct(": "), verb(did ?? ""), ` ${rest.join(" ")}`), line(key("resource"), punct(": "), text(found.resource))], details: [] },
    who: { ...card.who, name: found.requester, sub: line(who.toLowerCase().replace(/ /g, "-")), claims: card.who.claims.map((each) => (each.label === "email" ? field("email") : each)) },
    why: [field("justification")],
    before: [],
  };
}

export function pastCard(txn: string): Card | null {
  const old = /^old-(-?\d+)$/.exec(txn);
  const found = old === null ? pastRows.find((r) => r.txn === txn) : entry(Number(old[1]));
  if (found === undefined) return null;
  const ended = found.ended_at ?? NOW;
  const good = found.outcome === "redeemed" || found.outcome === "approved";
  const card = txn === "past-2" ? { ...mara(), lifted: [] } : plain(found);
  return {
    ...card,
    row: { ...found, asked_at: ended - 412 },
    votes: good
      ? [vote("Jonas Petersen", "approve", ended - 247, "List checked with billing."), vote("Elin Varga", "approve", ended - 4, null, true)]
      : found.outcome === "denied"
        ? [vote("Elin Varga", "deny", ended, "Not before the audit is done.", true)]
        : [],
    ballot: { ballot: "locked", why: "closed", sentence: "It is over." },
    words: null,
    execution: found.outcome === "redeemed" ? { executed: true, status: found.kind === "http" ? 204 : null, refusal: null, policy_digest: line("b7GxQm0vT2uKpVd8sLr4nZgA6iHoXBf3Q9xUu0q1vN3") } : null,
    display_digest: `d-${txn}`,
  };
}

const titles = [
  "The operation is complete and readable in one way only",
  "Ask, request, votes and grant are signed and speak of the same operation",
  "The requirement is at least what the policy demands",
  "Every vote is signed by its device, approves, and was cast in time",
  "Every device is bound to its person by the provider's own signature",
  "Every voter signed in again for this vote",
  "Enough different people approved, each of whom may",
  "All of it stands in the verifiable log",
];
const details = ["SHA-256 f3Q9xUu0b1hT7eWq2cJm5yKpVd8sLr4nZgA6iHoXB-E", "", "2 of dba-approvers", "Ed25519", "login.example.com", "", "iss and sub", "This server keeps no verifiable log yet."];

export const reports: Record<"passed" | "failed" | "unproven", VerifyReport> = {
  passed: {
    conclusion: "proven",
    sentence: "Everything holds, by keys that this device got itself.",
    steps: titles.map((title, n) => ({ title, outcome: n === 5 ? "not_applicable" : "passed", detail: n === 5 ? "The requirement does not ask for it." : n === 7 ? "leaf 7,204,118" : (details[n] ?? "") })),
    millis: 38,
  },
  failed: {
    conclusion: "failed",
    sentence: "Nothing after check 4 was reached. Do not rely on this approval.",
    steps: titles.map((title, n) => ({
      title,
      outcome: n < 3 ? "passed" : n === 3 ? "failed" : "not_reached",
      detail: n < 3 ? (details[n] ?? "") : n === 3 ? "The signature of the second vote belongs to a key that was revoked on 12 November. Tell the people who run the server." : "",
    })),
    millis: 21,
  },
  unproven: {
    conclusion: "consistent",
    sentence: "Nothing contradicts, but not all of it can be proven on this device. An auditor with the policy and everybody's sign-ins can prove it.",
    steps: titles.map((title, n) => ({
      title,
      outcome: n === 5 ? "not_applicable" : n === 4 || n === 7 ? "not_proven" : "passed",
      detail: n === 4 ? "This device holds your own sign-in, and not that of Jonas Petersen." : (details[n] ?? ""),
    })),
    millis: 30,
  },
};

export const devices = (): Device[] => [
  { binding_id: "q1vN3mYxS0b7rT2uKpVd8sLr4nZgA6iHoXBf3Q9xUu0", name: line("workstation-ev"), bound_at: at(0, 8, 2), session_ends_at: at(0, 20, 2), key: "Ed25519", voted_at: at(0, 9, 47), this_device: true },
  { binding_id: "Zr8vN4hQk2mYtC7wGxS1dUaJ9eBfI3oR5iEq6HnMpL0", name: line("travel-laptop"), bound_at: at(1, 18, 40), session_ends_at: at(0, 6, 40), key: "ES256", voted_at: at(1, 18, 52), this_device: false },
  { binding_id: "uJ2tB8rM1yQ0kVe7nZ4sHwGaP9dLfO6iT3bRqN-UXc5", name: line("build-host terminal"), bound_at: at(0, 12, 15), session_ends_at: at(1, 0, 15) + 2 * DAY, key: "Ed25519", this_device: false },
];
