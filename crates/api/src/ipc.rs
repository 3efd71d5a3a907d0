//! Agent ↔ window: one JSON object a line over the local socket.
//!
//! The window is a view. It sends ids and choices ([`Call`]), never bytes to sign; the agent answers
//! ([`Reply`]) and pushes ([`Event`]). Each text that comes from outside travels as [`Line`]s whose
//! dangerous characters were made visible by the agent: the window gives the roles a look, and adds
//! and interprets nothing.

mod absence;
mod card;
mod checks;
mod desk;
mod history;
mod prefs;
mod security_key;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

pub use absence::{AbsenceView, Away, AwayLine, Colleague};
pub use card::{
    Actor, Authenticated, Ballot, Before, By, Card, DeniedBefore, Exhibit, Field, Identity, Means,
    Noticed, Party, ReasonRule, Since, StageLine, StageState, StepUpAsked, StepUpPhase, VoteLine,
    WhyLocked,
};
pub use checks::{Check, CheckOf, CheckState, Sandbox};
pub use desk::{
    Ability, MAX_MUTE_SECS, MAX_PAUSE_SECS, Mute, Notifications, Paused, QuietNow, TestSent,
};
pub use history::{
    Execution, ExportAs, Figures, Filling, HistoryPage, HistoryQuery, MAX_PAGE_ROWS, OfKind,
    PersonChoice, TimeSpan, Week,
};
pub use prefs::{Language, LogLevel, Prefs, Proxy, QuietHours, Theme};
pub use security_key::{BoundKey, KeyWaits, MAX_PIN_BYTES, Pin};

/// The version of this vocabulary. Agent and window refuse each other when it differs.
pub const VERSION: u32 = 1;

/// The longest frame in either direction, in bytes.
pub const MAX_FRAME_BYTES: usize = 4 * 1024 * 1024;

/// Window → agent: one question, answered by one [`Answer`] with the same `id`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// [`VERSION`].
    pub v: u32,
    /// Chosen by the window, unique while the question is open.
    #[ts(type = "number")]
    pub id: u64,
    /// What is asked.
    pub call: Call,
}

/// Agent → window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "frame", rename_all = "snake_case")]
pub enum Frame {
    /// The answer to the question with this id.
    Answer {
        /// The question's id.
        #[ts(type = "number")]
        id: u64,
        /// What came of it.
        answer: Answer,
    },
    /// Something happened.
    Event {
        /// What.
        event: Event,
    },
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Answer {
    /// It was done.
    Done {
        /// What it yields.
        reply: Reply,
    },
    /// It was not done, and nothing changed.
    Refused {
        /// Why.
        problem: Problem,
    },
}

/// Why something was not done: a code for the program, a sentence for the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Problem {
    /// Stable; the window acts on a few of them only.
    pub code: ProblemCode,
    /// One plain sentence that says what happened and what to do.
    pub sentence: String,
}

/// The codes that a client acts on. Everything else is `Other`, with its sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// No server answers at that address.
    ServerUnreachable,
    /// The provider does not answer.
    ProviderUnreachable,
    /// Signed out, or the session ended.
    SignedOut,
    /// The keyring is missing or locked.
    Keyring,
    /// The request is over: decided, expired or withdrawn.
    Closed,
    /// The person may not do this.
    Forbidden,
    /// What was shown is not what the server sends now, or its bytes do not verify.
    NotGenuine,
    /// The typed words are not the ones shown in the requester's terminal.
    WrongWords,
    /// There is no such request.
    NotFound,
    /// Window and agent are of different versions.
    Version,
    /// None of the above.
    Other,
}

/// What the window may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "call", rename_all = "snake_case", deny_unknown_fields)]
pub enum Call {
    /// The whole state, once; afterwards [`Event::State`] brings each new one. → [`Reply::State`]
    State,
    /// Reads the server's self-description. → [`Reply::Server`]
    LookUpServer {
        /// Its `public_url`.
        url: String,
    },
    /// Opens the system browser at the provider. Progress comes as [`State::sign_in`]. → [`Reply::Nothing`]
    SignIn {
        /// The server's `public_url`.
        server: String,
        /// The provider's issuer, one of those that the server named.
        issuer: String,
    },
    /// Enrolls the person's security key and binds it by a full sign-in. Progress comes as [`State::sign_in`].
    /// → [`Reply::Nothing`]
    AddSecurityKey {
        /// For which account; the first one where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// Takes a security key out of those that may confirm the person's votes, by a full sign-in that no longer lists it.
    /// Progress comes as [`State::sign_in`]. → [`Reply::Nothing`]
    RemoveSecurityKey {
        /// Of which account; the first one where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// [`BoundKey::id`].
        key: String,
    },
    /// The PIN that a security key waits for ([`KeyWaits::Pin`]). → [`Reply::Nothing`]
    SecurityKeyPin {
        /// The request whose vote it confirms; none where a key is being added.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        txn: Option<String>,
        /// As it was typed. Never logged.
        pin: Pin,
    },
    /// Gives up a sign-in that is under way, or the adding of a security key. → [`Reply::Nothing`]
    CancelSignIn,
    /// Revokes the binding, deletes the keys. → [`Reply::Nothing`]
    SignOut {
        /// Of which account ([`Account::id`]); the first one where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// The card of an open or closed request. → [`Reply::Card`]
    Card {
        /// The request.
        txn: String,
    },
    /// Casts the vote of the signed-in person. Where it has to be confirmed, the answer is the card in
    /// [`Ballot::StepUp`], at once; what comes of it is told by [`Event::CardChanged`]. → [`Reply::Card`]
    Vote {
        /// The request.
        txn: String,
        /// The choice.
        choice: Choice,
        /// Given to the requester.
        reason: Option<String>,
        /// The two words as typed, where the requirement asks for them.
        words: Option<Vec<String>>,
        /// [`Card::display_digest`] of the card on screen: what is signed is what was shown.
        display_digest: String,
    },
    /// Gives up a step-up that is under way or failed: nothing was voted, and the ballot opens again. → [`Reply::Nothing`]
    CancelStepUp {
        /// The request.
        txn: String,
    },
    /// Takes a failed step-up up again, with the vote that was signed for it; where the browser is waited for, opens the
    /// same page again. → [`Reply::Nothing`]
    RetryStepUp {
        /// The request.
        txn: String,
    },
    /// Past requests, newest first. → [`Reply::History`]
    History {
        /// Search and filters.
        query: HistoryQuery,
        /// The place of the first row in the selection.
        #[ts(type = "number")]
        at: u64,
        /// At most [`MAX_PAGE_ROWS`].
        limit: u16,
    },
    /// People to filter by, those with most entries first. → [`Reply::People`]
    HistoryPeople {
        /// What their names begin with; empty: all.
        text: String,
        /// Of which account; all of them where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// Figures of a selection. → [`Reply::Figures`]
    Figures {
        /// Which.
        query: HistoryQuery,
    },
    /// Writes a selection to the person's download folder. → [`Reply::Exported`]
    ExportHistory {
        /// Which.
        query: HistoryQuery,
        /// As what.
        what: ExportAs,
    },
    /// Fetches the evidence and recomputes the proof. → [`Reply::Verification`]
    Verify {
        /// The request.
        txn: String,
    },
    /// Writes the evidence to a file in the person's download folder. → [`Reply::Exported`]
    ExportEvidence {
        /// The request.
        txn: String,
    },
    /// Sends a notification to this desktop; how that went is in [`State::notifications`]. → [`Reply::Nothing`]
    TestNotification,
    /// Whether the person saw the last test. → [`Reply::Nothing`]
    TestSeen {
        /// They did.
        seen: bool,
    },
    /// Lets what the requester of this request asks come silently for a while. → [`Reply::Nothing`]
    Mute {
        /// The request, an open one.
        txn: String,
        /// For so long: 1 to [`MAX_MUTE_SECS`].
        secs: u32,
    },
    /// Ends it. → [`Reply::Nothing`]
    Unmute {
        /// [`Mute::id`].
        id: String,
    },
    /// Lets everything come silently. → [`Reply::Nothing`]
    Pause {
        /// For so long: 1 to [`MAX_PAUSE_SECS`]; `None`: until resumed.
        secs: Option<u32>,
    },
    /// Ends a pause. → [`Reply::Nothing`]
    Resume,
    /// Tries now what waits for its time, or for the person: the keyring, the connection. → [`Reply::Nothing`]
    TryAgain,
    /// The person's bindings. → [`Reply::Devices`]
    Devices {
        /// Of which account; the first one where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// Revokes one binding of this person. → [`Reply::Devices`]
    RevokeDevice {
        /// Its id.
        binding_id: String,
        /// Of which account; the first one where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// Changes what the person prefers. → [`Reply::Nothing`]
    SetPrefs {
        /// All of it.
        prefs: Prefs,
    },
    /// Tries out what has to work for requests to arrive. → [`Reply::Checks`]
    Checks,
    /// What someone who helps needs to know, to be copied: without secrets and without data from outside.
    /// → [`Reply::Diagnostics`]
    Diagnostics,
    /// Whether the person is away, and who could stand in. → [`Reply::Absence`]
    Absence {
        /// Of which account; the first one where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// The person is away from then on, at most 90 days. → [`Reply::Absence`]
    SetAbsence {
        /// Of which account; the first one where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Unix seconds; what has passed counts as now.
        #[ts(type = "number")]
        from: i64,
        /// Unix seconds.
        #[ts(type = "number")]
        until: i64,
        /// A [`Colleague::id`].
        stand_in: Option<String>,
    },
    /// The person is back. → [`Reply::Absence`]
    EndAbsence {
        /// Of which account; the first one where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
    },
    /// The window is visible, focused or hidden now: tells the agent whether notifications are needed. → [`Reply::Nothing`]
    WindowState {
        /// On screen.
        visible: bool,
        /// The request whose card is on screen.
        showing: Option<String>,
    },
}

/// An approver's act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Lets this one operation through, once.
    Approve,
    /// Ends it.
    Deny,
}

/// What a call yields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Done; nothing to tell.
    Nothing,
    /// The whole state.
    State {
        /// It.
        state: Box<State>,
    },
    /// A server's self-description.
    Server {
        /// It.
        server: ServerInfo,
    },
    /// A card.
    Card {
        /// It.
        card: Box<Card>,
    },
    /// A page of the history.
    History {
        /// It.
        page: HistoryPage,
    },
    /// People to filter by.
    People {
        /// At most 50.
        people: Vec<PersonChoice>,
    },
    /// Figures.
    Figures {
        /// They.
        figures: Figures,
    },
    /// What verifying yielded.
    Verification {
        /// It.
        report: VerifyReport,
    },
    /// Where the file was written.
    Exported {
        /// Its absolute path.
        path: String,
    },
    /// Whether the person is away.
    Absence {
        /// When; none where they are not away, and will not be.
        absence: Option<AbsenceView>,
        /// Who may stand in, by name.
        colleagues: Vec<Colleague>,
        /// What was asked for lately and this person may vote on: what a colleague may vote on is among it.
        resources: Vec<Line>,
        /// What requesters read in their terminals while it lasts, in English. Empty where nobody is away.
        requesters_read: String,
    },
    /// The person's devices.
    Devices {
        /// Newest first.
        devices: Vec<Device>,
    },
    /// What was tried out.
    Checks {
        /// In the order of [`CheckOf`].
        checks: Vec<Check>,
    },
    /// To be copied.
    Diagnostics {
        /// Plain text of several lines.
        text: String,
    },
}

/// What the agent says by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Something in the state changed; this is all of it.
    State {
        /// The whole state.
        state: Box<State>,
    },
    /// Bring the window forward, and show this request where one is named.
    Open {
        /// The request.
        txn: Option<String>,
        /// The desktop's proof that a person asked for it (XDG activation): the window's frame uses it to come
        /// forward and does not pass it on to the page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        activation_token: Option<String>,
    },
    /// A link `countersign://connect?server=…` was opened: the page for a new account, with this address filled in. Nothing
    /// is asked of that server before the person says so.
    Connect {
        /// The address: `https`, or this computer's own.
        server: String,
    },
    /// A request came that no notification can tell of: come on screen, without taking the focus or changing what is
    /// shown. For the window's frame alone; the page does not get it.
    Raise,
    /// The card of this request is no longer what was sent: read it again.
    CardChanged {
        /// The request.
        txn: String,
    },
    /// The history on this device grew, or a selection was counted: ask again for what is on screen. A few times a second
    /// at most.
    HistoryChanged,
    /// The agent ends; so should the window.
    Goodbye,
}

/// Everything that the window draws outside of a card.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct State {
    /// The agent's version.
    pub agent_version: String,
    /// The address that is filled in on first run.
    pub suggested_server: Option<String>,
    /// Who is signed in: the first of [`State::accounts`].
    pub account: Option<Account>,
    /// Everybody who is signed in: one person may have accounts at several servers or providers.
    pub accounts: Vec<Account>,
    /// A sign-in under way, or how the last one failed.
    pub sign_in: SignIn,
    /// The stream: of the account that is worst off, where there are several.
    pub connection: Connection,
    /// Waiting for this person's vote, most urgent first.
    pub inbox: Vec<Row>,
    /// This person voted, or asked; others have yet to.
    pub others: Vec<Row>,
    /// Whether notifications reach this person.
    pub notifications: Notifications,
    /// Requesters whose requests come silently now.
    pub mutes: Vec<Mute>,
    /// The person's pause, while it lasts.
    pub paused: Option<Paused>,
    /// Whether it is quiet now, and why.
    pub quiet_now: Option<QuietNow>,
    /// Whether the tray shows the icon.
    pub tray: Tray,
    /// Whether the window is shut in.
    pub sandbox: Sandbox,
    /// Everything that is not in order, most severe first. The window shows the first.
    pub troubles: Vec<Problem>,
    /// What the person prefers.
    pub prefs: Prefs,
}

/// A signed-in person at one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Account {
    /// Names it in calls, and in each [`Row`] of its requests. The same through sign-ins.
    pub id: String,
    /// Its stream.
    pub connection: Connection,
    /// The server's `public_url`.
    pub server: String,
    /// The provider.
    pub issuer: String,
    /// The name that the server gives the provider, for people.
    pub provider_name: String,
    /// The subject at the provider.
    pub sub: String,
    /// As the provider states it.
    pub name: Line,
    /// As the provider states it.
    pub email: Option<Line>,
    /// As the provider states them.
    pub groups: Vec<Line>,
    /// The binding of this device.
    pub binding_id: String,
    /// When a full sign-in is needed again. Unix seconds.
    #[ts(type = "number")]
    pub session_ends_at: i64,
    /// Where the device key lives, as a sentence that says what that means.
    pub key_storage: String,
    /// The security keys that may confirm this person's votes. Absent where this program has no way to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_keys: Option<Vec<BoundKey>>,
    /// The person is away, or will be, as the server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away: Option<Away>,
}

/// A sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SignIn {
    /// None.
    Idle,
    /// The browser is open.
    WaitingForBrowser {
        /// The provider's name for people.
        provider_name: String,
        /// For a person whose browser did not open: the address to open by hand.
        url: String,
    },
    /// A security key is being added, and waits for the person. The browser follows.
    WaitingForKey {
        /// What for.
        waits: KeyWaits,
    },
    /// The answer came; keys are being bound.
    Binding,
    /// It did not work; nothing was kept.
    Failed {
        /// Why, and what to do.
        problem: Problem,
    },
}

/// The stream to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Connection {
    /// No account.
    SignedOut,
    /// First attempt.
    Connecting,
    /// Live.
    Connected,
    /// It was live; trying again.
    Reconnecting,
}

/// Whether there is an icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Tray {
    /// A host shows it.
    Shown,
    /// This desktop has none.
    NoHost,
}

/// A server, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ServerInfo {
    /// Its `public_url`, as it must be used.
    pub server: String,
    /// The providers to sign in with.
    pub providers: Vec<Provider>,
}

/// A provider to sign in with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Provider {
    /// Its issuer.
    pub issuer: String,
    /// Its name for people.
    pub name: String,
    /// Whether it can confirm a single vote by a fresh sign-in, as the server says.
    pub step_up: bool,
}

/// One line of text, in logical order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Line {
    /// Steps of indentation.
    pub indent: u16,
    /// Its parts.
    pub spans: Vec<Span>,
}

/// A run of characters with one role. Plain text: never markup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Span {
    /// What it is.
    pub role: Role,
    /// What to draw. For a chip: the name of the character, such as `U+202E RLO`.
    pub text: String,
}

/// What a span is. The window gives each a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Our own words, quiet.
    Ours,
    /// Data from outside.
    Data,
    /// A person's or thing's name.
    Name,
    /// A verb that changes or destroys something.
    Verb,
    /// A value that is signed for: a bound parameter, an id in a path.
    Value,
    /// A member name or label within the operation.
    Key,
    /// Punctuation of the operation, brackets.
    Punctuation,
    /// A character that hides or deceives, by its name.
    Chip,
    /// A letter of another script that looks like one of this.
    Confusable,
}

/// A row of the inbox or of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Row {
    /// The request.
    pub txn: String,
    /// Whose it is: [`Account::id`].
    pub account: String,
    /// What kind of thing is asked.
    pub kind: Kind,
    /// Who asks.
    pub requester: Line,
    /// Tells them from all others, whatever they call themselves: [`PersonChoice::id`]. Absent where the request does not
    /// verify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester_id: Option<String>,
    /// Two letters for the face.
    pub initials: String,
    /// What kind of party asks.
    pub party: Party,
    /// The sentence without the person: `Delete customer 42`.
    pub summary: Line,
    /// On which resource.
    pub resource: Line,
    /// When it was asked. Unix seconds.
    #[ts(type = "number")]
    pub asked_at: i64,
    /// When voting ends. Unix seconds.
    #[ts(type = "number")]
    pub expires_at: i64,
    /// Approvals so far.
    pub approvals: u32,
    /// Approvals needed.
    pub needed: u32,
    /// The policy says that it cannot be undone.
    pub irreversible: bool,
    /// Where it stands.
    pub outcome: Outcome,
    /// When it ended. Unix seconds.
    #[ts(type = "number | null")]
    pub ended_at: Option<i64>,
    /// Who ended it, where a person did.
    pub ended_by: Option<Line>,
}

/// What kind of thing is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An HTTP call.
    Http,
    /// An SQL statement.
    Sql,
    /// A command or CI step.
    Command,
    /// A tool call by an AI agent.
    Tool,
    /// Anything else.
    Other,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Open.
    Pending,
    /// Enough votes; not yet used.
    Approved,
    /// Used: the gate redeemed it.
    Redeemed,
    /// Somebody denied.
    Denied,
    /// Time ran out.
    Expired,
    /// The requester or the gate took it back.
    Withdrawn,
    /// Approved, but void before it was used (a vote was revoked).
    Voided,
}

/// What verifying the evidence on this device yielded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct VerifyReport {
    /// The conclusion.
    pub conclusion: Conclusion,
    /// In plain words.
    pub sentence: String,
    /// Each check, in order.
    pub steps: Vec<Step>,
    /// How long it took.
    pub millis: u32,
}

/// The conclusion of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    /// Every check that applies passed, from keys that this device got itself.
    Proven,
    /// Nothing contradicts, but something could not be checked here.
    Consistent,
    /// A check failed.
    Failed,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Step {
    /// What was checked, as a statement.
    pub title: String,
    /// How it went.
    pub outcome: StepOutcome,
    /// The detail: an algorithm, a time, why it failed.
    pub detail: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// A failure before it left nothing to check.
    NotReached,
    /// The requirement does not ask for it.
    NotApplicable,
    /// This device was not given what it takes (others' tokens).
    NotProven,
}

/// A device of this person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Device {
    /// Its binding.
    pub binding_id: String,
    /// What it calls itself.
    pub name: Line,
    /// When it was bound. Unix seconds.
    #[ts(type = "number")]
    pub bound_at: i64,
    /// When its session ends. Unix seconds.
    #[ts(type = "number")]
    pub session_ends_at: i64,
    /// The algorithm of its key, where the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When a vote by it was last counted, where the server says. Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[ts(optional, type = "number")]
    pub voted_at: Option<i64>,
    /// It is this one.
    pub this_device: bool,
}
