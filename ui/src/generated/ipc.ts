// Generated from crates/api/src/ipc.rs by `cargo xtask codegen`. Do not edit.

/** The version of this vocabulary. */
export const VERSION = 1;

/**
 * Something that a notification daemon can do.
 */
export type Ability = "body" | "actions" | "urgency" | "sound" | "persistence";

/**
 * The absence of one account's person.
 */
export type AbsenceView = { 
/**
 * Unix seconds.
 */
from: number, 
/**
 * Unix seconds.
 */
until: number, 
/**
 * Whom they named.
 */
stand_in: Colleague | null, 
/**
 * The policy lets that person vote today still: else nobody is told of them, and another should be named.
 */
stand_in_eligible: boolean, };

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
 * The security keys that may confirm this person's votes. Absent where this program has no way to one.
 */
security_keys?: Array<BoundKey> | null, 
/**
 * The person is away, or will be, as the server has it.
 */
away?: Away | null, };

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
 * The person is away, or will be.
 */
export type Away = { 
/**
 * Unix seconds.
 */
from: number, 
/**
 * It ends by itself then. Unix seconds.
 */
until: number, };

/**
 * On a card: somebody who may vote on it and is away. The words are the window's.
 */
export type AwayLine = { 
/**
 * As their provider states it.
 */
name: Line, 
/**
 * Until when. Unix seconds.
 */
until: number, 
/**
 * Whom they named, where that person may vote on this very request.
 */
stand_in: Line | null, 
/**
 * That is the person at this window: "Elin Varga is away until … and named you".
 */
names_you: boolean, };

/**
 * Whether and how this person can vote.
 */
export type Ballot = { "ballot": "open", 
/**
 * Whether the words must be typed.
 */
type_words: boolean, 
/**
 * Whether Approve is held down, not clicked.
 */
hold: boolean, 
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
 * A security key that is bound to an account.
 */
export type BoundKey = { 
/**
 * Names it here: the thumbprint of its public key.
 */
id: string, 
/**
 * What it calls itself.
 */
name: Line, };

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
account?: string | null, } | { "call": "remove_security_key", 
/**
 * Of which account; the first one where none is named.
 */
account?: string | null, 
/**
 * [`BoundKey::id`].
 */
key: string, } | { "call": "security_key_pin", 
/**
 * The request whose vote it confirms; none where a key is being added.
 */
txn?: string | null, 
/**
 * As it was typed. Never logged.
 */
pin: Pin, } | { "call": "cancel_sign_in" } | { "call": "sign_out", 
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
 * The place of the first row in the selection.
 */
at: number, 
/**
 * At most [`MAX_PAGE_ROWS`].
 */
limit: number, } | { "call": "history_people", 
/**
 * What their names begin with; empty: all.
 */
text: string, 
/**
 * Of which account; all of them where none is named.
 */
account?: string | null, } | { "call": "figures", 
/**
 * Which.
 */
query: HistoryQuery, } | { "call": "export_history", 
/**
 * Which.
 */
query: HistoryQuery, 
/**
 * As what.
 */
what: ExportAs, } | { "call": "verify", 
/**
 * The request.
 */
txn: string, } | { "call": "export_evidence", 
/**
 * The request.
 */
txn: string, } | { "call": "test_notification" } | { "call": "test_seen", 
/**
 * They did.
 */
seen: boolean, } | { "call": "mute", 
/**
 * The request, an open one.
 */
txn: string, 
/**
 * For so long: 1 to [`MAX_MUTE_SECS`].
 */
secs: number, } | { "call": "unmute", 
/**
 * [`Mute::id`].
 */
id: string, } | { "call": "pause", 
/**
 * For so long: 1 to [`MAX_PAUSE_SECS`]; `None`: until resumed.
 */
secs: number | null, } | { "call": "resume" } | { "call": "try_again" } | { "call": "devices", 
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
prefs: Prefs, } | { "call": "checks" } | { "call": "diagnostics" } | { "call": "absence", 
/**
 * Of which account; the first one where none is named.
 */
account?: string | null, } | { "call": "set_absence", 
/**
 * Of which account; the first one where none is named.
 */
account?: string | null, 
/**
 * Unix seconds; what has passed counts as now.
 */
from: number, 
/**
 * Unix seconds.
 */
until: number, 
/**
 * A [`Colleague::id`].
 */
stand_in: string | null, } | { "call": "end_absence", 
/**
 * Of which account; the first one where none is named.
 */
account?: string | null, } | { "call": "window_state", 
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
 * What of it is new, where it can be compared.
 */
since?: Since | null, 
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
 * What came of running it, once the gate has said so.
 */
execution?: Execution | null, 
/**
 * Who may vote, in the policy's words.
 */
who_may_vote: Line, 
/**
 * Who may vote and is away, according to the server.
 */
away: Array<AwayLine>, 
/**
 * Where somebody is away: how many others may vote and have a device that is signed in, as far as the server counted.
 */
others_can: number | null, 
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
 * One thing that was tried out just now.
 */
export type Check = { 
/**
 * What.
 */
what: CheckOf, 
/**
 * How it is.
 */
state: CheckState, 
/**
 * In plain words; where it is not good, what to do.
 */
sentence: string, 
/**
 * How long it took, where that tells something: a round trip to the server.
 */
millis: number | null, };

/**
 * What was tried out.
 */
export type CheckOf = "connection" | "key" | "clock" | "autostart" | "notifications" | "sandbox";

/**
 * How it is.
 */
export type CheckState = "good" | "care" | "bad";

/**
 * An approver's act.
 */
export type Choice = "approve" | "deny";

/**
 * Somebody who may stand in.
 */
export type Colleague = { 
/**
 * Names them in [`super::Call::SetAbsence`].
 */
id: string, 
/**
 * As their provider states it.
 */
name: Line, 
/**
 * Their provider.
 */
issuer: Line, 
/**
 * Two letters for the face.
 */
initials: string, 
/**
 * What they may vote on, of [`super::Reply::Absence`]'s `resources`.
 */
resources: Array<Line>, };

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
 * The algorithm of its key, where the server says.
 */
key?: string | null, 
/**
 * When a vote by it was last counted, where the server says. Unix seconds.
 */
voted_at?: number, 
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
activation_token?: string | null, } | { "event": "connect", 
/**
 * The address: `https`, or this computer's own.
 */
server: string, } | { "event": "raise" } | { "event": "card_changed", 
/**
 * The request.
 */
txn: string, } | { "event": "history_changed" } | { "event": "goodbye" };

/**
 * What came of running it, as the gate reported: its word, which no vote covers.
 */
export type Execution = { 
/**
 * The gate sent it on, once.
 */
executed: boolean, 
/**
 * What the upstream answered, for HTTP.
 */
status: number | null, 
/**
 * The gate's rule that refused it, or what went wrong on the way.
 */
refusal: Line | null, 
/**
 * The digest of the gate's own policy at that time.
 */
policy_digest: Line, };

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
 * What a selection is written as.
 */
export type ExportAs = "csv" | "evidence";

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
 * Figures of a selection. Of votes, those of the accounts' own persons.
 */
export type Figures = { 
/**
 * How often I voted.
 */
voted: number, 
/**
 * How many of those were denials.
 */
denied: number, 
/**
 * Half of my votes took no longer than this, from the request to the vote.
 */
median_secs: number | null, 
/**
 * The same of everybody's votes.
 */
median_all_secs: number | null, 
/**
 * My votes by week, oldest first, without gaps; the newest [`Figures::MAX_WEEKS`] at most.
 */
weeks: Array<Week>, 
/**
 * My votes by how long they took, without gaps; the last span is open.
 */
times: Array<TimeSpan>, 
/**
 * My votes by kind, most first.
 */
kinds: Array<OfKind>, };

/**
 * How far the history has been fetched.
 */
export type Filling = { 
/**
 * Entries that are here.
 */
done: number, 
/**
 * About how many there will be, once that is known.
 */
of: number | null, };

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
 * Rows of a selection, newest first.
 */
export type HistoryPage = { 
/**
 * The rows.
 */
rows: Array<Row>, 
/**
 * The place of the first of them in the selection.
 */
at: number, 
/**
 * How many the selection has. Absent while they are counted; [`super::Event::HistoryChanged`] tells when that is done.
 */
total: number | null, 
/**
 * How many entries there are on this device, of these accounts.
 */
all: number, 
/**
 * Present while older entries are fetched from the server.
 */
filling: Filling | null, 
/**
 * What is not in order with the history on this device.
 */
trouble: Problem | null, };

/**
 * Search and filters over the history. Everything has to hold at once.
 */
export type HistoryQuery = { 
/**
 * Words over people, resources, statements, reasons: each has to begin a word of the entry. All of it is text,
 * nothing in it is syntax.
 */
text: string, 
/**
 * Only these outcomes; empty: all.
 */
outcomes: Array<Outcome>, 
/**
 * Only these kinds; empty: all.
 */
kinds: Array<Kind>, 
/**
 * Only what the account's person voted on.
 */
mine: boolean, 
/**
 * Only where this person asked or voted: [`PersonChoice::id`].
 */
person: string | null, 
/**
 * Only what ended at this moment or later. Unix seconds.
 */
from: number | null, 
/**
 * Only what ended before this moment. Unix seconds.
 */
until: number | null, 
/**
 * Only of this account ([`super::Account::id`]); all of them where none is named.
 */
account: string | null, };

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
 * What a security key waits for.
 */
export type KeyWaits = { "for": "key" } | { "for": "choice", 
/**
 * How many.
 */
keys: number, } | { "for": "pin", 
/**
 * The last one was wrong.
 */
wrong: boolean, 
/**
 * How often it may still be wrong before the key locks itself, where the key says so.
 */
tries_left: number | null, } | { "for": "finger", 
/**
 * The last one was not known.
 */
wrong: boolean, } | { "for": "touch" };

/**
 * What kind of thing is asked.
 */
export type Kind = "http" | "sql" | "command" | "tool" | "other";

/**
 * The language of the window, the notifications and the tray.
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
 * How much the log says.
 */
export type LogLevel = "error" | "warn" | "info" | "debug";

/**
 * How a vote is confirmed.
 */
export type Means = "oidc" | "webauthn";

/**
 * A requester whose requests come silently for a while.
 */
export type Mute = { 
/**
 * Names it in [`super::Call::Unmute`].
 */
id: string, 
/**
 * Who is muted.
 */
name: Line, 
/**
 * Until when. Unix seconds.
 */
until: number, 
/**
 * So many requests of theirs came silently.
 */
silent: number, 
/**
 * Their requests that wait for this person.
 */
txns: Array<string>, };

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
daemon: string, 
/**
 * Its version, as it says.
 */
version: string, 
/**
 * What it can do.
 */
can: Array<Ability>, 
/**
 * The desktop holds notifications back ("do not disturb"), where it tells.
 */
held: boolean, 
/**
 * The last test that this daemon took.
 */
test: TestSent | null, } | { "state": "missing", 
/**
 * Why, and what to do: one sentence.
 */
why: string, };

/**
 * Votes on one kind of request.
 */
export type OfKind = { 
/**
 * The kind.
 */
kind: Kind, 
/**
 * Approvals.
 */
approved: number, 
/**
 * Denials.
 */
denied: number, };

/**
 * Where a request stands.
 */
export type Outcome = "pending" | "approved" | "redeemed" | "denied" | "expired" | "withdrawn" | "voided";

/**
 * What kind of party somebody is.
 */
export type Party = "person" | "workload";

/**
 * Notifications are paused by the person: nothing comes through, whatever the policy calls it.
 */
export type Paused = { 
/**
 * Until when, in Unix seconds; `None`: until resumed.
 */
until: number | null, };

/**
 * Somebody to filter by.
 */
export type PersonChoice = { 
/**
 * For [`HistoryQuery::person`].
 */
id: string, 
/**
 * As their provider names them.
 */
name: Line, 
/**
 * That provider.
 */
issuer: Line, 
/**
 * Entries in which they asked or voted.
 */
count: number, };

/**
 * A PIN on its way to the security key. Never printed; what is freed is wiped.
 */
export type Pin = string;

/**
 * What a person prefers on this device.
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
greeted: boolean, 
/**
 * Starts with the desktop. Otherwise nothing reaches the person until they open the app.
 */
autostart: boolean, 
/**
 * Stays when the window is closed. Otherwise closing it quits.
 */
keep_in_tray: boolean, 
/**
 * How long before a request expires one is reminded of it, in seconds: [`Prefs::REMINDERS`]. `None`: not at all.
 */
reminder: number | null, 
/**
 * When it is quiet.
 */
quiet: QuietHours, 
/**
 * Notifications sound.
 */
sound: boolean, 
/**
 * How servers and providers are reached.
 */
proxy: Proxy, 
/**
 * How much the log says. Takes effect at once.
 */
log: LogLevel, 
/**
 * Bindings of the person's other devices of which they said "yes, this was me": the devices page asks about new
 * ones. At most [`Prefs::MAX_KNOWN_DEVICES`].
 */
known_devices: Array<string>, };

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
 * How servers and providers are reached. This computer's own addresses are never reached through a proxy.
 */
export type Proxy = { "way": "system" } | { "way": "direct" } | { "way": "url", 
/**
 * Such as `http://proxy.example.com:3128`.
 */
url: string, };

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
 * The part of each day in which notifications make no sound and do not come up. From the later to the earlier goes over
 * midnight; from a minute to the same minute is the whole day.
 */
export type QuietHours = { 
/**
 * There is such a part.
 */
on: boolean, 
/**
 * Its first minute of the local day.
 */
from: number, 
/**
 * The minute in which it is over.
 */
to: number, };

/**
 * Why it is quiet now, without anybody having paused it.
 */
export type QuietNow = { "quiet": "quiet_hours", 
/**
 * When they end. Unix seconds.
 */
until: number, } | { "quiet": "away", 
/**
 * When the first of them is back. Unix seconds.
 */
until: number, };

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
page: HistoryPage, } | { "reply": "people", 
/**
 * At most 50.
 */
people: Array<PersonChoice>, } | { "reply": "figures", 
/**
 * They.
 */
figures: Figures, } | { "reply": "verification", 
/**
 * It.
 */
report: VerifyReport, } | { "reply": "exported", 
/**
 * Its absolute path.
 */
path: string, } | { "reply": "absence", 
/**
 * When; none where they are not away, and will not be.
 */
absence: AbsenceView | null, 
/**
 * Who may stand in, by name.
 */
colleagues: Array<Colleague>, 
/**
 * What was asked for lately and this person may vote on: what a colleague may vote on is among it.
 */
resources: Array<Line>, 
/**
 * What requesters read in their terminals while it lasts, in English. Empty where nobody is away.
 */
requesters_read: string, } | { "reply": "devices", 
/**
 * Newest first.
 */
devices: Array<Device>, } | { "reply": "checks", 
/**
 * In the order of [`CheckOf`].
 */
checks: Array<Check>, } | { "reply": "diagnostics", 
/**
 * Plain text of several lines.
 */
text: string, };

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
 * Tells them from all others, whatever they call themselves: [`PersonChoice::id`]. Absent where the request does not
 * verify.
 */
requester_id?: string | null, 
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
 * Whether the window's process is shut in: no network, no session bus, nothing of the person's files.
 */
export type Sandbox = { "state": "on" } | { "state": "off", 
/**
 * Why, in a sentence.
 */
why: string, };

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
url: string, } | { "state": "waiting_for_key", 
/**
 * What for.
 */
waits: KeyWaits, } | { "state": "binding" } | { "state": "failed", 
/**
 * Why, and what to do.
 */
problem: Problem, };

/**
 * What is new beside the last operation like it (of the same requester, action and resource) that this person approved
 * from this device, and that was run. A help for the eye and nothing else: all of it is shown, and signed for, all the
 * same.
 */
export type Since = { 
/**
 * When that one was run. Unix seconds.
 */
at: number, 
/**
 * Spans that it did not have: from, and up to but not including, counted through the title, the lines and the lines of
 * the details of the exhibit. None: it is the same, but for what is gone.
 */
fresh: Array<[number, number]>, 
/**
 * How many of its spans are not here.
 */
gone: number, };

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
 * Requesters whose requests come silently now.
 */
mutes: Array<Mute>, 
/**
 * The person's pause, while it lasts.
 */
paused: Paused | null, 
/**
 * Whether it is quiet now, and why.
 */
quiet_now: QuietNow | null, 
/**
 * Whether the tray shows the icon.
 */
tray: Tray, 
/**
 * Whether the window is shut in.
 */
sandbox: Sandbox, 
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
 * What for.
 */
waits: KeyWaits, 
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
 * A notification that was sent to see whether it arrives.
 */
export type TestSent = { 
/**
 * When. Unix seconds.
 */
at: number, 
/**
 * After so long the daemon had taken it.
 */
millis: number, 
/**
 * Whether the person saw it; `None` until they say.
 */
seen: boolean | null, };

/**
 * The look.
 */
export type Theme = "system" | "light" | "dark";

/**
 * Votes that took about as long.
 */
export type TimeSpan = { 
/**
 * From so many seconds on.
 */
from_secs: number, 
/**
 * Up to, not including; none: open.
 */
to_secs: number | null, 
/**
 * How many.
 */
count: number, };

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
 * Votes of one week.
 */
export type Week = { 
/**
 * Monday, midnight UTC. Unix seconds.
 */
starts: number, 
/**
 * Approvals.
 */
approved: number, 
/**
 * Denials.
 */
denied: number, };

/**
 * Why a vote is not possible.
 */
export type WhyLocked = "own_request" | "not_eligible" | "voted" | "not_yet" | "closed" | "offline" | "not_supported";
