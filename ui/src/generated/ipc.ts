// Generated from crates/api/src/ipc.rs by `cargo xtask codegen`. Do not edit.

/** The version of this vocabulary. */
export const VERSION = 1;

/**
 * A signed-in person at one server.
 */
export type Account = { 
/**
 * Names it in calls, and in each [`Row`] of its requests. The same through sign-ins.
 */
id: string, 
/**
 * Its stream.
 */
connection: Connection, 
/**
 * The server's `public_url`.
 */
server: string, 
/**
 * The provider.
 */
issuer: string, 
/**
 * The name that the server gives the provider, for people.
 */
provider_name: string, 
/**
 * The subject at the provider.
 */
sub: string, 
/**
 * As the provider states it.
 */
name: Line, 
/**
 * As the provider states it.
 */
email: Line | null, 
/**
 * As the provider states them.
 */
groups: Array<Line>, 
/**
 * The binding of this device.
 */
binding_id: string, 
/**
 * When a full sign-in is needed again. Unix seconds.
 */
session_ends_at: number, 
/**
 * Where the device key lives, as a sentence that says what that means.
 */
key_storage: string, 
/**
 * The security keys that may confirm this person's votes, by name. Absent where this program has no way to one.
 */
security_keys?: Array<Line> | null, };

/**
 * One who acts on the requester's behalf.
 */
export type Actor = { 
/**
 * The subject.
 */
name: Line, 
/**
 * Who vouches for it.
 */
issuer: Line, };

/**
 * What came of a call.
 */
export type Answer = { "result": "done", 
/**
 * What it yields.
 */
reply: Reply, } | { "result": "refused", 
/**
 * Why.
 */
problem: Problem, };

/**
 * How and when the requester signed in, as the provider says.
 */
export type Authenticated = { 
/**
 * When. Unix seconds.
 */
auth_time: number | null, 
/**
 * By what means.
 */
amr: Array<Line>, 
/**
 * To which level.
 */
acr: Line | null, };

/**
 * Whether and how this person can vote.
 */
export type Ballot = { "ballot": "open", 
/**
 * Whether the words must be typed.
 */
type_words: boolean, 
/**
 * When a reason is needed.
 */
reason: ReasonRule, 
/**
 * What approving takes beside the click, where the policy asks for a confirmation.
 */
step_up: StepUpAsked | null, } | { "ballot": "step_up", 
/**
 * What it takes.
 */
asked: StepUpAsked, 
/**
 * Where it stands.
 */
phase: StepUpPhase, } | { "ballot": "locked", 
/**
 * Why.
 */
why: WhyLocked, 
/**
 * In plain words.
 */
sentence: string, };

/**
 * A past request.
 */
export type Before = { 
/**
 * How it ended.
 */
outcome: Outcome, 
/**
 * When. Unix seconds.
 */
at: number, };

/**
 * Who votes.
 */
export type By = "others" | "requester";

/**
 * What the window may ask for.
 */
export type Call = { "call": "state" } | { "call": "look_up_server", 
/**
 * Its `public_url`.
 */
url: string, } | { "call": "sign_in", 
/**
 * The server's `public_url`.
 */
server: string, 
/**
 * The provider's issuer, one of those that the server named.
 */
issuer: string, } | { "call": "add_security_key", 
/**
 * For which account; the first one where none is named.
 */
account?: string | null, } | { "call": "cancel_sign_in" } | { "call": "sign_out", 
/**
 * Of which account ([`Account::id`]); the first one where none is named.
 */
account?: string | null, } | { "call": "card", 
/**
 * The request.
 */
txn: string, } | { "call": "vote", 
/**
 * The request.
 */
txn: string, 
/**
 * The choice.
 */
choice: Choice, 
/**
 * Given to the requester.
 */
reason: string | null, 
/**
 * The two words as typed, where the requirement asks for them.
 */
words: Array<string> | null, 
/**
 * [`Card::display_digest`] of the card on screen: what is signed is what was shown.
 */
display_digest: string, } | { "call": "cancel_step_up", 
/**
 * The request.
 */
txn: string, } | { "call": "retry_step_up", 
/**
 * The request.
 */
txn: string, } | { "call": "history", 
/**
 * Search and filters.
 */
query: HistoryQuery, 
/**
 * Of which account; the first one where none is named.
 */
account?: string | null, } | { "call": "verify", 
/**
 * The request.
 */
txn: string, } | { "call": "export_evidence", 
/**
 * The request.
 */
txn: string, } | { "call": "test_notification" } | { "call": "devices", 
/**
 * Of which account; the first one where none is named.
 */
account?: string | null, } | { "call": "revoke_device", 
/**
 * Its id.
 */
binding_id: string, 
/**
 * Of which account; the first one where none is named.
 */
account?: string | null, } | { "call": "set_prefs", 
/**
 * All of it.
 */
prefs: Prefs, } | { "call": "window_state", 
/**
 * On screen.
 */
visible: boolean, 
/**
 * The request whose card is on screen.
 */
showing: string | null, };

/**
 * Everything on the sheet of one request.
 */
export type Card = { 
/**
 * The row of the same request.
 */
row: Row, 
/**
 * The gate that asks.
 */
gate: Line, 
/**
 * The sentence: who asks to verb from thing in resource.
 */
sentence: Line, 
/**
 * The policy's words about undoing, such as `Cannot be undone`.
 */
stamp: Line | null, 
/**
 * Fields lifted to the head by the policy.
 */
lifted: Array<Field>, 
/**
 * How many characters on the card were made visible.
 */
made_visible: number, 
/**
 * The operation.
 */
exhibit: Exhibit, 
/**
 * Who asks, as the provider vouches.
 */
who: Identity, 
/**
 * The requester's own words and what the client says: nobody has checked them.
 */
why: Array<Field>, 
/**
 * Past requests of this person on this resource, oldest first.
 */
before: Array<Before>, 
/**
 * What is unusual about it, according to the server.
 */
noticed: Array<Noticed>, 
/**
 * The same was denied before, according to the server.
 */
denied_before: DeniedBefore | null, 
/**
 * The stages of the approval, in order; none where it has none.
 */
stages: Array<StageLine>, 
/**
 * Who votes on it.
 */
by: By, 
/**
 * This person's approval counts, and a deny can still take it back.
 */
take_back: boolean, 
/**
 * Cast votes, in order.
 */
votes: Array<VoteLine>, 
/**
 * Who may vote, in the policy's words.
 */
who_may_vote: Line, 
/**
 * Digests, policy, requirement.
 */
record: Array<Field>, 
/**
 * The operation's bytes as text, made visible, one line each.
 */
raw: Array<Line>, 
/**
 * The two matching words. Absent when they have to be typed.
 */
words: Array<string> | null, 
/**
 * Whether, and how, this person can vote on it now.
 */
ballot: Ballot, 
/**
 * SHA-256 of the plain-text card (base64url): goes into the vote, and back with `Call::Vote`.
 */
display_digest: string, };

/**
 * An approver's act.
 */
export type Choice = "approve" | "deny";

/**
 * The conclusion of a verification.
 */
export type Conclusion = "proven" | "consistent" | "failed";

/**
 * The stream to the server.
 */
export type Connection = "signed_out" | "connecting" | "connected" | "reconnecting";

/**
 * An earlier denial of the same operation.
 */
export type DeniedBefore = { 
/**
 * When. Unix seconds.
 */
at: number, 
/**
 * By whom.
 */
by: Line, 
/**
 * The reason that they gave.
 */
reason: Line | null, };

/**
 * A device of this person.
 */
export type Device = { 
/**
 * Its binding.
 */
binding_id: string, 
/**
 * What it calls itself.
 */
name: Line, 
/**
 * When it was bound. Unix seconds.
 */
bound_at: number, 
/**
 * When its session ends. Unix seconds.
 */
session_ends_at: number, 
/**
 * It is this one.
 */
this_device: boolean, };

/**
 * What the agent says by itself.
 */
export type Event = { "event": "state", 
/**
 * The whole state.
 */
state: State, } | { "event": "open", 
/**
 * The request.
 */
txn: string | null, 
/**
 * The desktop's proof that a person asked for it (XDG activation): the window's frame uses it to come
 * forward and does not pass it on to the page.
 */
activation_token?: string | null, } | { "event": "card_changed", 
/**
 * The request.
 */
txn: string, } | { "event": "goodbye" };

/**
 * The operation itself.
 */
export type Exhibit = { 
/**
 * The line on top: method and address, or the like.
 */
title: Line, 
/**
 * All of it.
 */
lines: Array<Line>, 
/**
 * What else is sent on: headers, size and digest of the body.
 */
details: Array<Field>, };

/**
 * A label and its lines.
 */
export type Field = { 
/**
 * Stable name: the window's catalogue may translate it, else it is shown as it is.
 */
label: string, 
/**
 * The content.
 */
lines: Array<Line>, };

/**
 * Agent → window.
 */
export type Frame = { "frame": "answer", 
/**
 * The question's id.
 */
id: number, 
/**
 * What came of it.
 */
answer: Answer, } | { "frame": "event", 
/**
 * What.
 */
event: Event, };

/**
 * A page of the history, newest first.
 */
export type HistoryPage = { 
/**
 * The rows.
 */
rows: Array<Row>, 
/**
 * Where the next page starts.
 */
next: string | null, };

/**
 * Search and filters over the history.
 */
export type HistoryQuery = { 
/**
 * Free text over people, resources, statements, reasons.
 */
text: string, 
/**
 * Only these outcomes; empty: all.
 */
outcomes: Array<Outcome>, 
/**
 * Only what this person voted on.
 */
mine: boolean, 
/**
 * Where the page before ended.
 */
cursor: string | null, };

/**
 * A party, as somebody vouches for it.
 */
export type Identity = { 
/**
 * What kind of party it is.
 */
party: Party, 
/**
 * Who vouches: the provider's issuer.
 */
issuer: Line, 
/**
 * Through whom we know: the gate that checked the token.
 */
according_to: Line, 
/**
 * The person's name, or what the provider states instead.
 */
name: Line, 
/**
 * The subject.
 */
sub: Line, 
/**
 * How and when they signed in.
 */
authenticated: Authenticated, 
/**
 * Who acts on their behalf, outermost first (RFC 8693, `act`): programs, AI agents, other people.
 */
actors: Array<Actor>, 
/**
 * Claims, in a fixed order; one that is missing has no lines. The same as above is among them.
 */
claims: Array<Field>, 
/**
 * What the gate says by itself about device and place: no provider vouches for it.
 */
reported: Array<Field>, };

/**
 * What kind of thing is asked.
 */
export type Kind = "http" | "sql" | "command" | "tool" | "other";

/**
 * The language of the window.
 */
export type Language = "system" | "en" | "de";

/**
 * One line of text, in logical order.
 */
export type Line = { 
/**
 * Steps of indentation.
 */
indent: number, 
/**
 * Its parts.
 */
spans: Array<Span>, };

/**
 * How a vote is confirmed.
 */
export type Means = "oidc" | "webauthn";

/**
 * Something unusual about a request, from the server's history.
 */
export type Noticed = "first_time_resource" | "first_time_requester" | "new_device" | "new_place" | "new_client";

/**
 * Whether notifications reach the person.
 */
export type Notifications = { "state": "working", 
/**
 * Its name, such as `dunst`.
 */
daemon: string, } | { "state": "missing" };

/**
 * Where a request stands.
 */
export type Outcome = "pending" | "approved" | "redeemed" | "denied" | "expired" | "withdrawn" | "voided";

/**
 * What kind of party somebody is.
 */
export type Party = "person" | "workload";

/**
 * What a person prefers about the window on this device.
 */
export type Prefs = { 
/**
 * The look.
 */
theme: Theme, 
/**
 * The language.
 */
language: Language, 
/**
 * The size of all text and space, in percent: [`Prefs::TEXT_SIZES`].
 */
text_size: number, 
/**
 * What has to work for requests to arrive was tried out on this device: it is not asked for again.
 */
greeted: boolean, };

/**
 * Why something was not done: a code for the program, a sentence for the person.
 */
export type Problem = { 
/**
 * Stable; the window acts on a few of them only.
 */
code: ProblemCode, 
/**
 * One plain sentence that says what happened and what to do.
 */
sentence: string, };

/**
 * The codes that a client acts on. Everything else is `Other`, with its sentence.
 */
export type ProblemCode = "server_unreachable" | "provider_unreachable" | "signed_out" | "keyring" | "closed" | "forbidden" | "not_genuine" | "wrong_words" | "not_found" | "version" | "other";

/**
 * A provider to sign in with.
 */
export type Provider = { 
/**
 * Its issuer.
 */
issuer: string, 
/**
 * Its name for people.
 */
name: string, 
/**
 * Whether it can confirm a single vote by a fresh sign-in, as the server says.
 */
step_up: boolean, };

/**
 * Window → agent: one question, answered by one [`Answer`] with the same `id`.
 */
export type Question = { 
/**
 * [`VERSION`].
 */
v: number, 
/**
 * Chosen by the window, unique while the question is open.
 */
id: number, 
/**
 * What is asked.
 */
call: Call, };

/**
 * When a reason is needed.
 */
export type ReasonRule = "optional" | "on_deny" | "always";

/**
 * What a call yields.
 */
export type Reply = { "reply": "nothing" } | { "reply": "state", 
/**
 * It.
 */
state: State, } | { "reply": "server", 
/**
 * It.
 */
server: ServerInfo, } | { "reply": "card", 
/**
 * It.
 */
card: Card, } | { "reply": "history", 
/**
 * It.
 */
page: HistoryPage, } | { "reply": "verification", 
/**
 * It.
 */
report: VerifyReport, } | { "reply": "exported", 
/**
 * Its absolute path.
 */
path: string, } | { "reply": "devices", 
/**
 * Newest first.
 */
devices: Array<Device>, };

/**
 * What a span is. The window gives each a look.
 */
export type Role = "ours" | "data" | "name" | "verb" | "value" | "key" | "punctuation" | "chip" | "confusable";

/**
 * A row of the inbox or of the history.
 */
export type Row = { 
/**
 * The request.
 */
txn: string, 
/**
 * Whose it is: [`Account::id`].
 */
account: string, 
/**
 * What kind of thing is asked.
 */
kind: Kind, 
/**
 * Who asks.
 */
requester: Line, 
/**
 * Two letters for the face.
 */
initials: string, 
/**
 * What kind of party asks.
 */
party: Party, 
/**
 * The sentence without the person: `Delete customer 42`.
 */
summary: Line, 
/**
 * On which resource.
 */
resource: Line, 
/**
 * When it was asked. Unix seconds.
 */
asked_at: number, 
/**
 * When voting ends. Unix seconds.
 */
expires_at: number, 
/**
 * Approvals so far.
 */
approvals: number, 
/**
 * Approvals needed.
 */
needed: number, 
/**
 * The policy says that it cannot be undone.
 */
irreversible: boolean, 
/**
 * Where it stands.
 */
outcome: Outcome, 
/**
 * When it ended. Unix seconds.
 */
ended_at: number | null, 
/**
 * Who ended it, where a person did.
 */
ended_by: Line | null, };

/**
 * A server, as it describes itself.
 */
export type ServerInfo = { 
/**
 * Its `public_url`, as it must be used.
 */
server: string, 
/**
 * The providers to sign in with.
 */
providers: Array<Provider>, };

/**
 * A sign-in.
 */
export type SignIn = { "state": "idle" } | { "state": "waiting_for_browser", 
/**
 * The provider's name for people.
 */
provider_name: string, 
/**
 * For a person whose browser did not open: the address to open by hand.
 */
url: string, } | { "state": "binding" } | { "state": "failed", 
/**
 * Why, and what to do.
 */
problem: Problem, };

/**
 * A run of characters with one role. Plain text: never markup.
 */
export type Span = { 
/**
 * What it is.
 */
role: Role, 
/**
 * What to draw. For a chip: the name of the character, such as `U+202E RLO`.
 */
text: string, };

/**
 * One stage of an approval.
 */
export type StageLine = { 
/**
 * Its name in the policy.
 */
name: Line, 
/**
 * Approvals so far.
 */
approvals: number, 
/**
 * Approvals needed.
 */
needed: number, 
/**
 * Who votes in it, in the policy's words.
 */
who: Line, 
/**
 * Where it stands.
 */
state: StageState, 
/**
 * It is the one that this person's vote counts in.
 */
mine: boolean, };

/**
 * Where a stage stands.
 */
export type StageState = "complete" | "open" | "waiting";

/**
 * Everything that the window draws outside of a card.
 */
export type State = { 
/**
 * The agent's version.
 */
agent_version: string, 
/**
 * The address that is filled in on first run.
 */
suggested_server: string | null, 
/**
 * Who is signed in: the first of [`State::accounts`].
 */
account: Account | null, 
/**
 * Everybody who is signed in: one person may have accounts at several servers or providers.
 */
accounts: Array<Account>, 
/**
 * A sign-in under way, or how the last one failed.
 */
sign_in: SignIn, 
/**
 * The stream: of the account that is worst off, where there are several.
 */
connection: Connection, 
/**
 * Waiting for this person's vote, most urgent first.
 */
inbox: Array<Row>, 
/**
 * This person voted, or asked; others have yet to.
 */
others: Array<Row>, 
/**
 * Whether notifications reach this person.
 */
notifications: Notifications, 
/**
 * Whether the tray shows the icon.
 */
tray: Tray, 
/**
 * Everything that is not in order, most severe first. The window shows the first.
 */
troubles: Array<Problem>, 
/**
 * What the person prefers.
 */
prefs: Prefs, };

/**
 * One check.
 */
export type Step = { 
/**
 * What was checked, as a statement.
 */
title: string, 
/**
 * How it went.
 */
outcome: StepOutcome, 
/**
 * The detail: an algorithm, a time, why it failed.
 */
detail: string, };

/**
 * How a check went.
 */
export type StepOutcome = "passed" | "failed" | "not_reached" | "not_applicable" | "not_proven";

/**
 * What approving takes beside the click.
 */
export type StepUpAsked = { 
/**
 * How.
 */
means: Means, 
/**
 * Where: the provider's name for people.
 */
provider_name: string, 
/**
 * The level that the sign-in must reach.
 */
acr: Line | null, 
/**
 * The scope that the provider asks consent for.
 */
scope: Line | null, };

/**
 * Where the confirmation of a vote stands.
 */
export type StepUpPhase = { "phase": "preparing" } | { "phase": "waiting_for_browser", 
/**
 * For a person whose browser did not open: the address to open by hand.
 */
url: string, 
/**
 * Since when. Unix seconds.
 */
since: number, } | { "phase": "waiting_for_key", 
/**
 * Since when. Unix seconds.
 */
since: number, } | { "phase": "sending" } | { "phase": "failed", 
/**
 * What happened, and what to do.
 */
problem: Problem, 
/**
 * `Call::RetryStepUp` may help: the signed vote is kept.
 */
retry: boolean, };

/**
 * The look.
 */
export type Theme = "system" | "light" | "dark";

/**
 * Whether there is an icon.
 */
export type Tray = "shown" | "no_host";

/**
 * What verifying the evidence on this device yielded.
 */
export type VerifyReport = { 
/**
 * The conclusion.
 */
conclusion: Conclusion, 
/**
 * In plain words.
 */
sentence: string, 
/**
 * Each check, in order.
 */
steps: Array<Step>, 
/**
 * How long it took.
 */
millis: number, };

/**
 * A cast vote.
 */
export type VoteLine = { 
/**
 * Who.
 */
name: Line, 
/**
 * Subject and issuer.
 */
subject: Line, 
/**
 * What.
 */
choice: Choice, 
/**
 * When. Unix seconds.
 */
at: number, 
/**
 * What they said.
 */
reason: Line | null, 
/**
 * The device's binding, and its kind of key.
 */
device: Line, 
/**
 * It is this person's.
 */
mine: boolean, 
/**
 * The stage that it was cast in.
 */
stage: Line | null, 
/**
 * How it was confirmed, where it was, according to the server.
 */
step_up: Means | null, };

/**
 * Why a vote is not possible.
 */
export type WhyLocked = "own_request" | "not_eligible" | "voted" | "not_yet" | "closed" | "offline" | "not_supported";
