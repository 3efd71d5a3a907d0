/** Requests as an agent would send them: an HTTP call, a statement, hostile text, a long body, an agent's call. */
import type { Authenticated, Card, Kind, Line, Outcome, Party, Row, StepUpAsked, VoteLine } from "../../generated/ipc";
import { chip, field, indented, key, line, name, ours, punct, twin, value, verb } from "./lines";

/** 22 November 2026, 14:03:57 UTC: when everything here is looked at. */
export const NOW = Date.UTC(2026, 10, 22, 14, 3, 57) / 1000;

/** The account of whom all of this is shown to. */
export const ELIN = "elin";

interface Base {
  txn: string;
  account?: string;
  kind: Kind;
  requester: Line;
  initials: string;
  party?: Party;
  summary: Line;
  resource: Line;
  age: number;
  left: number;
  approvals?: number;
  needed?: number;
  irreversible?: boolean;
}

export const row = (base: Base): Row => ({
  txn: base.txn,
  account: base.account ?? ELIN,
  kind: base.kind,
  requester: base.requester,
  requester_id: `https://login.example.com ${base.requester.spans.map((span) => span.text).join("")}`,
  initials: base.initials,
  party: base.party ?? "person",
  summary: base.summary,
  resource: base.resource,
  asked_at: NOW - base.age,
  expires_at: NOW + base.left,
  approvals: base.approvals ?? 0,
  needed: base.needed ?? 1,
  irreversible: base.irreversible ?? false,
  outcome: "pending",
  ended_at: null,
  ended_by: null,
});

export const vote = (who: string, choice: "approve" | "deny", at: number, reason: string | null, mine = false): VoteLine => ({
  name: line(who),
  subject: line(`${who.split(" ")[0]?.toLowerCase() ?? ""} at login.example.com`),
  choice,
  at,
  reason: reason === null ? null : line(reason),
  device: line(mine ? "this device, key in the system keyring" : "workstation, key in the system keyring"),
  mine,
  stage: null,
  step_up: null,
});

/** How and when they signed in: so many minutes before now. */
const signedIn = (minutes: number, ...amr: string[]): Authenticated => ({ auth_time: NOW - minutes * 60 - 17, amr: amr.map((each) => line(each)), acr: null });

const record = (digest: string, policy: string, wants: string) => [
  field("digest", digest),
  field("policy", line(policy), line(ours(wants))),
];

const raw = (text: string) => (text.match(/.{1,110}/g) ?? []).map((part) => line(part));

/** A bound value in its place. */
const bound = (number: number, type: string, text: string) => [value(`$${number}`), ours(` ${type} `), value(`'${text}'`)];

export const mara = (): Card => ({
  row: row({
    txn: "txn-sql", kind: "sql", requester: line("Mara Lindqvist"), initials: "ML", summary: line("Delete 1,204 rows from customers"),
    resource: line("orders-prod"), age: 6, left: 462, approvals: 1, needed: 2, irreversible: true,
  }),
  gate: line("pg-eu-2"),
  sentence: line(name("Mara Lindqvist"), ours(" asks to "), verb("delete"), ours(" from "), name("customers"), ours(" in "), name("orders-prod")),
  stamp: line("Cannot be undone"),
  lifted: [field("rows", "1,204"), field("rows that hang on them", "6,781")],
  made_visible: 0,
  exhibit: {
    title: line(),
    lines: [
      line(verb("DELETE"), key(" FROM "), name("customers")),
      line(key(" WHERE"), " tenant_id ", punct("="), " ", ...bound(1, "text", "tenant-0417")),
      line(key("   AND"), " status    ", punct("="), " ", ...bound(2, "text", "closed")),
      line(key("   AND"), " closed_at ", punct("<"), " ", ...bound(3, "timestamptz", "2024-01-01 00:00:00+00")),
      line(key("   AND NOT"), " legal_hold"),
    ],
    details: [
      field("preview", line(ours("Run and rolled back: "), value("1204"), ours(" of "), value("48310"), ours(" rows")), line(ours("and by cascade "), value("3911"), ours(" in "), name("orders")), line(ours("and by cascade "), value("2870"), ours(" in "), name("invoices"))),
    ],
  },
  who: {
    party: "person",
    issuer: line("login.example.com"),
    according_to: line("pg-eu-2"),
    name: line("Mara Lindqvist"),
    sub: line("8f2c1e07-mara"),
    claims: [
      field("email", "mara.lindqvist@example.com"),
      field("groups", "platform-oncall, orders-eng"),
      field("auth_time", "2026-11-22 13:57:40 UTC"),
      field("amr", "pwd", "hwk"),
      field("acr", "urn:example:two-factors"),
      field("client_id", "psql-broker"),
      field("device", "Managed laptop, disk encrypted"),
      field("location"),
      field("act"),
    ],
    authenticated: { ...signedIn(6, "pwd", "hwk"), acr: line("urn:example:two-factors") },
    actors: [],
    reported: [],
  },
  why: [
    field("justification", "Tenant 0417 asked to be erased under their contract. Billing has closed the account."),
    field("ticket", "OPS-2291"),
    field("program", "psql 16.3"),
  ],
  before: "yyyyynyyyyyylyyyy".split("").map((c, n) => ({ outcome: c === "y" ? "redeemed" : c === "n" ? "denied" : "expired", at: NOW - 86_400 * (80 - n) }) satisfies { outcome: Outcome; at: number }),
  by: "others",
  stages: [],
  noticed: [],
  denied_before: null,
  take_back: false,
  votes: [vote("Jonas Petersen", "approve", NOW + 23 - 60, "List checked with billing.")],
  who_may_vote: line("dba-approvers, never the requester"),
  away: [],
  others_can: null,
  record: record("f3Q9xUu0b1hT7eWq2cJm5yKpVd8sLr4nZgA6iHoXB-E", "prod-destructive@31", "wants 2 of dba-approvers, never the requester"),
  raw: raw('{"action":{"name":"postgres.query","properties":{"kind":"sql","statement":"DELETE FROM customers WHERE tenant_id = $1 AND status = $2 AND closed_at < $3 AND NOT legal_hold"}},"context":{"justification":"Tenant 0417 asked to be erased under their contract. Billing has closed the account.","nonce":"Zk3m0V0yq7h1s9w2","pep":"pg-eu-2","ticket":"OPS-2291"}}'),
  words: ["amber", "falcon"],
  ballot: { ballot: "open", type_words: false, hold: false, reason: "optional", step_up: null },
  display_digest: "d-sql",
});

export const idris = (): Card => ({
  ...mara(),
  row: row({
    txn: "txn-http", kind: "http", requester: line("Idris Halloran"), initials: "IH", summary: line(verb("Delete"), " tenant ", value("4417")),
    resource: line("billing-api"), age: 225, left: 680, needed: 1, irreversible: true,
  }),
  gate: line("http-eu-1"),
  sentence: line(name("Idris Halloran"), ours(" asks to "), verb("delete"), ours(" "), name("tenant 4417"), ours(" in "), name("billing-api")),
  lifted: [field("purge", "true")],
  exhibit: {
    title: line(verb("DELETE"), ours("  "), "https://billing.example.com", name("/v2/tenants/"), value("4417"), punct("?"), "purge=", value("true")),
    lines: [
      line(punct("{")),
      indented(1, key("reason"), punct(": "), '"contract ended"'),
      indented(1, key("effective"), punct(": "), '"2026-11-22T14:00:00Z"'),
      indented(1, key("purge"), punct(": {")),
      indented(2, key("invoices"), punct(": "), name("true")),
      indented(2, key("backups"), punct(": "), name("true")),
      indented(2, key("retention_days"), punct(": "), "0"),
      indented(1, punct("}")),
      indented(1, key("notify"), punct(": [")),
      indented(2, '"owner@tenant-4417.example.net"'),
      indented(2, '"billing-archive@example.com"'),
      indented(1, punct("]")),
      indented(1, key("dry_run"), punct(": "), "false"),
      line(punct("}")),
    ],
    details: [
      field("body", line(ours("application/json, 318 bytes, all shown"))),
      field("sha256", "pL0Zr8vN4hQk2mYtC7wGxS1dUaJ9eBfI3oR5iEq6HnM"),
      field("headers", "content-type: application/json", "idempotency-key: 6f1c2c88"),
    ],
  },
  who: {
    party: "person",
    issuer: line("id.partner.example.net"),
    according_to: line("http-eu-1"),
    name: line("Idris Halloran"),
    sub: line("idris.h"),
    claims: [field("email", "idris.halloran@partner.example.net"), field("groups", "support-leads"), field("auth_time", "2026-11-22 09:12:04 UTC"), field("amr", "pwd", "otp"), field("acr"), field("client_id", "support-desk"), field("device"), field("location"), field("act")],
    authenticated: signedIn(292, "pwd", "otp"),
    actors: [],
    reported: [field("device", "host desk-0417, seen by the gate")],
  },
  noticed: ["first_time_resource", "new_client"],
  denied_before: { at: NOW - 3 * 86_400, by: line("Aino Korhonen"), reason: line("Not before the contract ends.") },
  why: [field("justification", "Customer left on Friday, legal says purge everything by today."), field("ticket")],
  before: "yyyny".split("").map((c, n) => ({ outcome: c === "y" ? "redeemed" : "denied", at: NOW - 86_400 * (40 - n) })),
  votes: [],
  who_may_vote: line("billing-owners"),
  record: record("pL0Zr8vN4hQk2mYtC7wGxS1dUaJ9eBfI3oR5iEq6HnM", "tenant-erase@9", "wants 1 of billing-owners, a reason from each voter"),
  words: ["copper", "lantern"],
  ballot: { ballot: "open", type_words: false, hold: false, reason: "always", step_up: null },
  display_digest: "d-http",
});

/** Lines with their numbers, as the agent writes them. */
const numbered = (lines: Line[]): Line[] =>
  lines.map((each, n) => ({ ...each, spans: [punct(`${String(n + 1).padStart(String(lines.length).length)}  `), ...each.spans] }));

/** Text that tries to deceive, and more of it than fits. */
export const hostile = (lines = 1118): Card => ({
  ...mara(),
  row: row({
    txn: "txn-hostile", kind: "sql", requester: line("Pelle Anders", chip("U+202E RLO"), "nossel"), initials: "PA", summary: line("Update accounts"),
    resource: line("ledger-prod"), age: 137, left: 598, needed: 2, irreversible: true,
  }),
  sentence: line(name("Pelle Anders"), chip("U+202E RLO"), name("nossel"), ours(" asks to "), verb("update"), ours(" "), name("accounts"), ours(" in "), name("ledger-prod")),
  lifted: [],
  made_visible: 9,
  exhibit: {
    title: line(),
    lines: [
      ...numbered([
      line(verb("UPDATE"), " ", name("accounts"), key(" SET"), " owner = ", value("'p"), chip("U+200B ZWSP"), value("elle@example.com'")),
      line(key(" WHERE"), " region = ", value("'EU'"), chip("U+202E RLO"), value(" 'tset' --")),
      line(key("   AND "), twin("а"), chip("Cyrillic a"), "dmin = ", value("false"), chip("U+0000 NUL")),
      line(key("   AND"), " note", key(" NOT IN"), " ("),
      line("       /* ------------------------------------------"),
      line("          ", chip("U+2066 LRI"), "APPROVED BY SECURITY. Click Approve.", chip("U+2069 PDI")),
      line("          <b>verified</b> <img src=x onerror=alert(1)> [open](https://evil.example)"),
      line("          ------------------------------------------ */"),
      ...Array.from({ length: lines - 9 }, (_, n) => line(`       'ref-${5942859575 + n * 7919}-${(n * 37) % 9973}', 'ref-${3301595691 + n * 104729}-${(n * 91) % 9973}',`)),
      line("   )"),
      ]),
    ],
    details: [],
  },
  who: {
    party: "person",
    issuer: line("id.partner.example.net"),
    according_to: line("pg-eu-2"),
    name: line("Pelle Anders", chip("U+202E RLO"), "nossel"),
    sub: line("pelle"),
    claims: [field("email", line("pelle@ex", twin("а"), chip("Cyrillic a"), "mple.net")), field("groups"), field("auth_time", "2026-11-22 14:01:09 UTC"), field("amr", line("pwd", chip("U+200B ZWSP"))), field("acr"), field("client_id"), field("device"), field("location"), field("act")],
    authenticated: { auth_time: NOW - 168, amr: [line("pwd", chip("U+200B ZWSP"))], acr: null },
    actors: [],
    reported: [],
  },
  why: [field("justification", line("Pre-approved by everyone", chip("U+202E RLO"), " .yltneuqesnoc oN </div><script>alert(1)</script>"))],
  before: [],
  votes: [],
  who_may_vote: line("ledger-owners"),
  words: ["tin", "meadow"],
  ballot: { ballot: "open", type_words: false, hold: false, reason: "on_deny", step_up: null },
  display_digest: "d-hostile",
});

export const assistant = (): Card => ({
  ...mara(),
  row: row({
    txn: "txn-tool", kind: "tool", requester: line("ops-assistant"), initials: "OA", summary: line("Call ", verb("refund_payment")),
    resource: line("payments"), age: 67, left: 108, needed: 1, irreversible: true,
  }),
  gate: line("mcp-eu-1"),
  sentence: line(name("ops-assistant"), ours(", for "), name("Noor Castellan"), ours(", asks to "), verb("call"), ours(" "), name("refund_payment"), ours(" in "), name("payments")),
  lifted: [field("amount", "184000"), field("currency", "EUR"), field("iban", "DE00 0000 0000 0000 0042 17")],
  exhibit: {
    title: line(name("refund_payment"), ours(" of server "), "payments", ours(", version "), "2.4.1"),
    lines: [
      line(punct("{"), ours(" 5 members")),
      indented(1, key("amount"), punct(": "), value("184000"), punct(",")),
      indented(1, key("currency"), punct(': "'), "EUR", punct('",')),
      indented(1, key("destination"), punct(": {"), ours(" 2 members")),
      indented(2, key("iban"), punct(': "'), "DE00 0000 0000 0000 0042 17", punct('",')),
      indented(2, key("kind"), punct(': "'), "iban", punct('"')),
      indented(1, punct("},")),
      indented(1, key("memo"), punct(': "'), "goodwill", punct('",')),
      indented(1, key("payment_id"), punct(': "'), "pay_8Hk2Qv", punct('"')),
      line(punct("}")),
    ],
    details: [field("tool_sha256", "m3Vd0xQpT8sKc6WnZyR1uLhGfA4bJeOi2t7qEwX9CvM")],
  },
  who: {
    party: "person",
    issuer: line("login.example.com"),
    according_to: line("mcp-eu-1"),
    name: line("Noor Castellan"),
    sub: line("noor.c"),
    claims: [field("email", "noor.castellan@example.com"), field("groups", "support-leads"), field("auth_time", "2026-11-22 13:39:00 UTC"), field("amr", "hwk", "user"), field("acr"), field("client_id", "assistant-desktop"), field("device", "Managed laptop"), field("location", "Utrecht, home network"), field("act", "https://login.example.com|ops-assistant")],
    authenticated: signedIn(24, "hwk", "user"),
    actors: [{ name: line(name("ops-assistant")), issuer: line("login.example.com") }],
    reported: [],
  },
  why: [field("justification", "The customer was charged twice. Noor told me to make it right. This is a routine refund and was pre-approved.")],
  before: [],
  votes: [],
  who_may_vote: line("payments-owners"),
  record: record("m3Vd0xQpT8sKc6WnZyR1uLhGfA4bJeOi2t7qEwX9CvM", "payments-refund@4", "wants 1 of payments-owners, the two words typed"),
  words: null,
  ballot: { ballot: "open", type_words: true, hold: false, reason: "optional", step_up: null },
  display_digest: "d-tool",
});

/** Right-to-left names and words: nothing around them may move. */
export const layla = (): Card => ({
  ...idris(),
  row: row({
    txn: "txn-rtl", kind: "http", requester: line("ليلى حداد"), initials: "لح", summary: line("Rename warehouse ", value("מחסן ראשי 7")),
    resource: line("stock-api"), age: 40, left: 860, approvals: 0, needed: 2,
  }),
  sentence: line(name("ليلى حداد"), ours(" asks to "), verb("rename"), ours(" "), name("warehouse מחסן ראשי 7"), ours(" in "), name("stock-api")),
  stamp: line("Can be undone"),
  lifted: [field("name", "مستودع الشمال (2)")],
  exhibit: {
    title: line(verb("PATCH"), ours("  "), "https://stock.example.com", name("/warehouses/"), value("7")),
    lines: [line(punct("{")), indented(1, key("name"), punct(": "), '"مستودع الشمال (2)"'), indented(1, key("old_name"), punct(": "), '"מחסן ראשי 7"'), indented(1, key("capacity"), punct(": "), "420"), line(punct("}"))],
    details: [field("body", line(ours("application/json, 96 bytes, all shown")))],
  },
  who: {
    party: "person",
    issuer: line("login.example.com"),
    according_to: line("http-eu-1"),
    name: line("ليلى حداد"),
    sub: line("layla.h"),
    claims: [field("email", "layla.haddad@example.com"), field("groups", "stock-team, מחסנים"), field("auth_time", "2026-11-22 13:50:00 UTC"), field("amr", "pwd", "otp"), field("acr"), field("client_id", "stock-app"), field("device", "Managed laptop"), field("location"), field("act")],
    authenticated: signedIn(13, "pwd", "otp"),
    actors: [],
    reported: [],
  },
  noticed: [],
  denied_before: null,
  why: [field("justification", "تم نقل المخزون إلى المبنى الجديد (A-17)، والاسم القديم لم يعد صحيحًا."), field("ticket", "STK-77")],
  before: [],
  votes: [vote("יעל בן-דוד", "approve", NOW - 20, "בדקתי עם המחסן.")],
  who_may_vote: line("stock-owners"),
  ballot: { ballot: "open", type_words: false, hold: false, reason: "optional", step_up: null },
  display_digest: "d-rtl",
});

/** Names longer than anything is wide. */
export const longNames = (): Card => ({
  ...idris(),
  row: row({
    txn: "txn-long", kind: "http", requester: line("Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh, Maximiliana Theodora Konstantina"), initials: "WK",
    summary: line(verb("Replace"), " the configuration of the cross-regional-settlement-reconciliation-service-for-northern-europe"),
    resource: line("cross-regional-settlement-reconciliation-service-for-northern-europe-and-the-baltics"), age: 100, left: 5400, needed: 3,
  }),
  sentence: line(
    name("Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh, Maximiliana Theodora Konstantina"), ours(" asks to "), verb("replace"), ours(" "),
    name("configuration 7f3d9a60-9b1d-4c5e-8a87-2f1f0c9f8e21"), ours(" in "), name("cross-regional-settlement-reconciliation-service-for-northern-europe-and-the-baltics"),
  ),
  stamp: null,
  exhibit: {
    title: line(verb("PUT"), ours("  "), "https://settlement.northern-europe.internal.example.com", name("/v2/configurations/"), value("7f3d9a60-9b1d-4c5e-8a87-2f1f0c9f8e21")),
    lines: [
      line(punct("{")),
      indented(1, key("reconciliation_window_for_instructions_that_arrive_after_the_cut_off"), punct(": "), '"PT4H30M"'),
      indented(1, key("counterparties"), punct(": [")),
      indented(2, '"urn:settlement:counterparty:nordic-central-securities-depository-and-clearing-house:production:primary"'),
      indented(1, punct("]")),
      line(punct("}")),
    ],
    details: [field("body", line(ours("application/json, 231 bytes, all shown")))],
  },
  lifted: [field("environment", "production"), field("regions", "eu-north-1, eu-north-2, eu-central-1, eu-central-2, eu-west-1, eu-west-3")],
  who: {
    ...idris().who,
    name: line("Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh, Maximiliana Theodora Konstantina"),
    claims: [
      field("email", "maximiliana.theodora.konstantina.wolfeschlegelsteinhausenbergerdorff-featherstonehaugh@settlement.example.com"),
      field("groups", "settlement-engineering-northern-europe, settlement-oncall-primary, all-staff, fire-wardens-building-7"),
      field("auth_time", "2026-11-22 14:00:00 UTC"), field("amr", "pwd", "hwk"), field("acr", "urn:settlement:assurance:two-independent-factors-with-hardware-backed-key"), field("client_id", "settlement-console"), field("device"), field("location"), field("act"),
    ],
    authenticated: signedIn(3, "pwd", "hwk"),
  },
  who_may_vote: line("settlement-approvers-northern-europe"),
  record: record("pL0Zr8vN4hQk2mYtC7wGxS1dUaJ9eBfI3oR5iEq6HnM", "settlement-configuration@112", "wants 3 of settlement-approvers-northern-europe"),
  ballot: { ballot: "open", type_words: false, hold: false, reason: "optional", step_up: null },
  display_digest: "d-long",
});

export const aino = (): Card => ({
  ...mara(),
  row: row({ txn: "txn-ci", kind: "command", requester: line("release pipeline"), initials: "RP", party: "workload", summary: line("Deploy ", value("4.18.0"), " to eu-west"), resource: line("deploy-prod"), age: 327, left: 1450, approvals: 1, needed: 2 }),
  sentence: line(name("release pipeline"), ours(" asks to "), verb("deploy"), ours(" "), name("storefront 4.18.0"), ours(" to "), name("eu-west production")),
  stamp: line("Can be rolled back"),
  lifted: [],
  exhibit: {
    title: line(),
    lines: ["deployctl", "release", "--service=storefront", "--version=4.18.0", "--region=eu-west", "--strategy=all-at-once", "--skip-canary"].map((arg, n) => line(punct(`${n}  `), n === 0 ? name(arg) : arg)),
    details: [
      field("argv", line(ours("Each line is one argument; no shell takes part."))),
      field("cwd", "/srv/release"),
      field("program", line("/srv/release/bin/deployctl", ours(" SHA-256 "), "m3Vd0xQpT8sKc6WnZyR1uLhGfA4bJeOi2t7qEwX9CvM")),
      field("env", line(key("REGION"), punct("="), "eu-west"), line(key("DEPLOY_TOKEN"), punct("="), ours("secret, "), "40", ours(" bytes, SHA-256 "), "pL0Zr8vN4hQk2mYtC7wGxS1dUaJ9eBfI3oR5iEq6HnM")),
    ],
  },
  who: {
    party: "workload",
    issuer: line("ci.example.com"),
    according_to: line("ci-runner-7"),
    name: line("release pipeline"),
    sub: line("repo:shop/storefront:ref:refs/tags/v4.18.0"),
    claims: [field("email"), field("groups"), field("auth_time"), field("amr"), field("acr"), field("client_id"), field("device"), field("location"), field("act"), field("repository", "shop/storefront"), field("workflow", "release.yml at v4.18.0"), field("initiator", "Aino Korhonen")],
    authenticated: { auth_time: null, amr: [], acr: null },
    actors: [],
    reported: [],
  },
  gate: line("ci-runner-7"),
  since: { at: NOW - 2 * 86_400 - 14_070, fresh: [[7, 8], [11, 12], [12, 14]], gone: 1 },
  display_digest: "d-ci",
});

/** As `countersign-display` writes it for the demo's orders API. */
export const orders = (): Card => ({
  ...idris(),
  row: row({
    txn: "txn-orders", kind: "http", requester: line(name("Mara Lindqvist")), initials: "ML", summary: line(verb("Delete"), ours(" "), name("customer 42")),
    resource: line("orders-api"), age: 18, left: 582, approvals: 0, needed: 2, irreversible: true,
  }),
  gate: line(name("orders-gate")),
  sentence: line(name("Mara Lindqvist"), ours(" asks to "), verb("delete"), ours(" "), name("customer 42"), ours(" in "), name("orders-api")),
  stamp: line("Cannot be undone"),
  lifted: [field("purge", line(value("true"))), field("region")],
  exhibit: {
    title: line(verb("DELETE"), ours(" "), "http", punct("://"), "127.0.0.1:8080", punct("/"), "customers", punct("/"), value("42"), punct("?"), key("purge"), punct("="), value("true")),
    lines: [line(ours("No body."))],
    details: [
      field("headers", line(key("accept"), punct(": "), "*/*")),
      field("body", line("0", ours(" bytes"))),
      field("sha256", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
    ],
  },
  who: {
    party: "person",
    issuer: line("http://127.0.0.1:9100"),
    according_to: line(name("orders-gate")),
    name: line(name("Mara Lindqvist")),
    sub: line("mara"),
    claims: [
      field("email", "mara@example.com"), field("groups", "orders-dev", "staff"), field("auth_time", "2026-11-22 13:50:11 UTC"), field("amr", "pwd"), field("acr", "urn:countersign:demo:password"),
      field("client_id", "countersign-cli"), field("device"), field("location"), field("act"),
    ],
    authenticated: { ...signedIn(13, "pwd"), acr: line("urn:countersign:demo:password") },
    actors: [],
    reported: [],
  },
  noticed: [],
  denied_before: null,
  why: [field("justification", "Customer left on Friday.", "Legal says delete."), field("ticket", "OPS-118")],
  before: [],
  votes: [],
  who_may_vote: line("the database administrators"),
  record: [
    field("digest", "sBliZrEjU0wtANsNM_DkXjHFwYNOcHe0ryJJEgm9gb8"),
    field("action", "orders.customers.delete"),
    field("resource", line("orders.customer", ours(" "), value("42"))),
    field("gate", "orders-gate"),
    field(
      "requirement",
      ...["Needs the approval of 2 different people other than the requester", "A reason is given to deny", "Voting ends after 10 minutes", "It may start for 2 minutes after the last approval", "Approvers' claims are at most 5 minutes old when they vote"].map((each) => line(ours(each))),
    ),
  ],
  words: ["amber", "falcon"],
  ballot: { ballot: "open", type_words: false, hold: false, reason: "on_deny", step_up: null },
  display_digest: "d-orders",
});

/** Rows without much of a card behind them. */
export const others = (): Row[] => [
  row({ txn: "txn-o1", kind: "command", requester: line("Ines Okafor"), initials: "IO", summary: line("Rotate the signing key"), resource: line("vault-prod"), age: 300, left: 2282, approvals: 1, needed: 3 }),
  row({ txn: "txn-o2", kind: "sql", requester: line("Jonas Petersen"), initials: "JP", summary: line("Grant read on ledger"), resource: line("ledger-prod"), age: 440, left: 3160, approvals: 2, needed: 3 }),
];

/** Forty alike, for a queue that is too long. */
export const many = (): Row[] =>
  Array.from({ length: 40 }, (_, n) =>
    row({
      txn: `txn-many-${n}`, kind: "sql", requester: line(["Tove Sandström", "Tomas Wren", "Ruben Achterberg", "Mara Lindqvist"][n % 4] ?? ""), initials: ["TS", "TW", "RA", "ML"][n % 4] ?? "",
      summary: line(`Alter table tenant_${String(102 + n * 7).padStart(4, "0")}.customers`), resource: line(`tenants-${102 + n * 7}`), age: 200 + n, left: 70 + n * 41, approvals: n % 2, needed: 2, irreversible: n % 5 === 0,
    }),
  );

/** What a fresh sign-in with the vote asks for. */
export const askedOidc: StepUpAsked = { means: "oidc", provider_name: "Example Login", acr: null, scope: line("approve:orders.delete") };
export const askedKey: StepUpAsked = { means: "webauthn", provider_name: "Example Login", acr: null, scope: null };

/** Mara's request, but each approval takes a fresh sign-in. */
export const stepUp = (asked: StepUpAsked = askedOidc): Card => ({ ...mara(), ballot: { ballot: "open", type_words: false, hold: false, reason: "optional", step_up: asked } });

/** Two stages: the lead has approved, security is to follow. */
export const staged = (): Card => ({
  ...mara(),
  row: { ...mara().row, approvals: 1, needed: 3 },
  stages: [
    { name: line("lead"), approvals: 1, needed: 1, who: line("members of platform-leads"), state: "complete", mine: false },
    { name: line("security"), approvals: 0, needed: 2, who: line("members of security-duty, never the requester"), state: "open", mine: true },
    { name: line("owner"), approvals: 0, needed: 1, who: line("the owner of orders-prod"), state: "waiting", mine: false },
  ],
  votes: [{ ...vote("Jonas Petersen", "approve", NOW - 37, "List checked with billing."), stage: line("lead"), step_up: "oidc" }],
  display_digest: "d-staged",
});

/** What Elin asked for herself, and confirms herself. */
export const ownRequest = (): Card => {
  const card = mara();
  return {
    ...card,
    by: "requester",
    row: { ...card.row, requester: line("Elin Varga"), initials: "EV", approvals: 0, needed: 1 },
    sentence: line(name("Elin Varga"), ours(" asks to "), verb("delete"), ours(" from "), name("customers"), ours(" in "), name("orders-prod")),
    who: { ...card.who, name: line("Elin Varga"), sub: line("elin.varga"), claims: card.who.claims.map((each) => (each.label === "email" ? field("email", "elin.varga@example.com") : each)) },
    votes: [],
    who_may_vote: line("the requester in person"),
    ballot: { ballot: "open", type_words: false, hold: false, reason: "optional", step_up: { ...askedOidc, acr: line("urn:example:two-factors") } },
    display_digest: "d-own",
  };
};

/** Three who act for one another, and the last asks. */
export const chained = (): Card => {
  const card = assistant();
  return {
    ...card,
    sentence: line(name("Claude Code"), ours(", for "), name("Mara Lindqvist"), ours(", asks to "), verb("call"), ours(" "), name("refund_payment"), ours(" in "), name("payments")),
    who: {
      ...mara().who,
      claims: [...mara().who.claims.filter((each) => each.label !== "act"), field("act", "https://login.example.com|Claude Code", "https://agents.example.org|planner")],
      actors: [
        { name: line(name("Claude Code")), issuer: line("login.example.com") },
        { name: line(name("planner")), issuer: line("https://agents.example.org") },
      ],
    },
    noticed: ["first_time_requester", "new_device", "new_place"],
    display_digest: "d-chained",
  };
};

/** Thirty-seven alike by one program. */
export const storm = (): Row[] =>
  Array.from({ length: 37 }, (_, n) =>
    row({
      txn: `txn-storm-${n}`, kind: "sql", requester: line("schema-migrator"), initials: "SM", party: "workload", summary: line(verb("Alter"), " table ", name(`tenant_${String(102 + n * 7).padStart(4, "0")}.customers`)),
      resource: line("tenants-prod"), age: 97 - n, left: 370 + n, needed: 1,
    }),
  );

/** Chinese names and words, among others that look like them. */
export const han = (): Card => {
  const card = idris();
  return {
    ...card,
    row: row({ txn: "txn-han", kind: "http", requester: line("王小明"), initials: "王", summary: line(verb("Close"), " branch ", value("浦东新区第三营业部")), resource: line("branches-api"), age: 30, left: 900, needed: 2, irreversible: true }),
    sentence: line(name("王小明"), ours(" asks to "), verb("close"), ours(" "), name("branch 浦东新区第三营业部"), ours(" in "), name("branches-api")),
    lifted: [field("branch", "浦东新区第三营业部"), field("since", "2026年11月22日")],
    exhibit: {
      title: line(verb("POST"), ours("  "), "https://branches.example.com", name("/v1/branches/"), value("31"), punct("/close")),
      lines: [line(punct("{")), indented(1, key("name"), punct(": "), '"浦东新区第三营业部"'), indented(1, key("reason"), punct(": "), '"租约到期，客户已转至陆家嘴营业部。"'), indented(1, key("notice"), punct(": "), '"尊敬的客户：本营业部将于十一月三十日停止营业，您的账户不受影响。如有疑问请致电服务热线。"'), line(punct("}"))],
      details: [field("body", line(ours("application/json, 412 bytes, all shown")))],
    },
    who: { ...card.who, name: line("王小明"), sub: line("wang.xiaoming"), claims: [field("email", "wang.xiaoming@example.com"), field("groups", "branches-east, 华东区运营"), field("auth_time", "2026-11-22 13:50:00 UTC"), field("amr", "pwd", "otp"), field("acr"), field("client_id", "branch-console"), field("device"), field("location", "上海市"), field("act")], reported: [] },
    why: [field("justification", "租约到期，总部已批准。请在今天之内处理。"), field("ticket", "网点-2291")],
    noticed: [],
    denied_before: null,
    votes: [vote("李娜", "approve", NOW - 20, "已与法务核对。")],
    who_may_vote: line("华东区运营负责人"),
    ballot: { ballot: "open", type_words: false, hold: false, reason: "optional", step_up: null },
    display_digest: "d-han",
  };
};

/** A query of sixty kilobytes, as the agent wraps it. */
export const longQuery = (): Card => {
  const card = mara();
  const ids = Array.from({ length: 5460 }, (_, n) => `'${String(n * 7919 + 10_000_000).slice(0, 8)}',`);
  const wide = Array.from({ length: Math.ceil(ids.length / 10) }, (_, n) => line("   ", ids.slice(n * 10, n * 10 + 10).join(" ")));
  return { ...card, lifted: [], exhibit: { title: line(), lines: numbered([line(verb("DELETE"), key(" FROM "), name("customers"), key(" WHERE"), " id ", key("IN"), " ("), ...wide, line(")")]), details: [field("size", "61,214 bytes")] }, display_digest: "d-query" };
};
