//! The card on a terminal: the same lines as the window's, whole, in the same order.

use countersign_api::ipc::{
    AwayLine, Ballot, By, Card, Choice, DeniedBefore, Execution, Field, Means, Noticed, Outcome,
    StageLine, StageState, StepUpAsked,
};
use countersign_approver::away::{Away, sentences};
use countersign_model::UnixSecs;
use jiff::tz::TimeZone;

use crate::terminal::{duration, line, safe};

/// Prints all of it to stdout.
pub(crate) fn print(card: &Card, now: UnixSecs) {
    print!("{}", text(card, now, &TimeZone::system()));
}

/// All of it, as text. Nothing is cut.
fn text(card: &Card, now: UnixSecs, zone: &TimeZone) -> String {
    let Card {
        row,
        gate: _,
        sentence,
        stamp,
        lifted,
        made_visible,
        exhibit,
        // Marks for the eye: a window draws them.
        since: _,
        who,
        why,
        before,
        noticed,
        denied_before,
        stages,
        by,
        take_back: _,
        votes,
        who_may_vote,
        away,
        others_can,
        execution,
        record,
        raw: _,
        words,
        ballot,
        display_digest: _,
    } = card;
    let mut out = Sheet::default();
    out.rule();
    out.say(&line(sentence));
    if let Some(stamp) = stamp {
        out.say(&format!("!! {}", line(stamp)));
    }
    if *made_visible > 0 {
        out.say(&format!(
            "!! {made_visible} characters that hide or deceive were made visible as ‹…›."
        ));
    }
    out.fields(lifted);
    if let Some(words) = words {
        out.pair("words", &safe(&words.join(" ")));
    }
    out.pair(
        "state",
        &state(
            row.outcome,
            row.approvals,
            row.needed,
            row.expires_at - now.0,
        ),
    );
    out.pair("may vote", &line(who_may_vote));
    let shown: Vec<_> = away
        .iter()
        .map(|away| {
            let AwayLine {
                name,
                until,
                stand_in,
                names_you,
            } = away;
            (line(name), *until, stand_in.as_ref().map(line), *names_you)
        })
        .collect();
    let away: Vec<Away<'_>> = shown
        .iter()
        .map(|(name, until, stand_in, names_you)| Away {
            name,
            until: *until,
            stand_in: stand_in.as_deref(),
            names_you: *names_you,
        })
        .collect();
    let away = sentences(&away, *others_can, now.0, zone);
    if !away.is_empty() {
        out.pair("away", &away);
    }
    for stage in stages {
        let StageLine {
            name,
            approvals,
            needed,
            who,
            state,
            mine,
        } = stage;
        let state = match (state, mine) {
            (StageState::Complete, _) => "complete",
            (StageState::Open, true) => "open: yours",
            (StageState::Open, false) => "open",
            (StageState::Waiting, _) => "later",
        };
        out.pair(
            "stage",
            &format!(
                "{} · {approvals} of {needed} · {state} · {}",
                line(name),
                line(who)
            ),
        );
    }
    if let Some(Execution {
        executed,
        status,
        refusal,
        policy_digest: _,
    }) = execution
    {
        let status = status.map(|status| format!(", status {status}"));
        let refusal = refusal.as_ref().map(|why| format!(": {}", line(why)));
        let done = if *executed { "sent on" } else { "not sent on" };
        let said = [status, refusal].map(Option::unwrap_or_default).concat();
        out.pair("the gate says", &format!("{done}{said}"));
    }
    if *by == By::Requester {
        out.say("!! Your own operation: you confirm it yourself.");
    }
    if let Ballot::Open {
        step_up: Some(asked),
        ..
    } = ballot
    {
        out.pair("approving takes", &step_up(asked));
    }
    for one in noticed {
        out.pair("unusual", noticed_in_words(*one));
    }
    if let Some(DeniedBefore { at, by, reason }) = denied_before {
        let reason = reason
            .as_ref()
            .map(|reason| format!(": {}", line(reason)))
            .unwrap_or_default();
        let ago = duration(now.0 - at);
        out.pair(
            "denied before",
            &format!("{ago} ago by {}{reason}", line(by)),
        );
    }

    out.heading("What will be done, exactly");
    out.say(&line(&exhibit.title));
    for one in &exhibit.lines {
        out.say(&line(one));
    }
    out.fields(&exhibit.details);

    out.heading(&format!(
        "Who asks, as {} vouches according to {}",
        line(&who.issuer),
        line(&who.according_to)
    ));
    out.pair("name", &line(&who.name));
    out.pair("subject", &line(&who.sub));
    out.fields(&who.claims);

    out.heading("What they say (nobody has checked it)");
    if why.is_empty() {
        out.say("nothing");
    }
    out.fields(why);

    out.heading("Votes");
    if votes.is_empty() {
        out.say("none yet");
    }
    for vote in votes {
        let did = match vote.choice {
            Choice::Approve => "approved",
            Choice::Deny => "denied",
        };
        let reason = vote
            .reason
            .as_ref()
            .map(|reason| format!(": {}", line(reason)))
            .unwrap_or_default();
        out.say(&format!("{} {did}{reason}", line(&vote.name)));
    }
    if !before.is_empty() {
        out.heading("Their requests on this resource before");
        for past in before {
            let ago = duration(now.0 - past.at);
            out.say(&format!("{ago} ago: {}", state_name(past.outcome)));
        }
    }

    out.heading("Record");
    out.fields(record);
    if let Ballot::Locked { why: _, sentence } = ballot {
        out.heading("You cannot vote on it");
        out.say(&safe(sentence));
    }
    out.rule();
    out.0
}

fn step_up(asked: &StepUpAsked) -> String {
    let StepUpAsked {
        means,
        provider_name,
        acr,
        scope,
    } = asked;
    let mut text = match means {
        Means::Oidc => format!("a fresh sign-in at {}", safe(provider_name)),
        Means::Webauthn => "your security key".to_owned(),
    };
    if let Some(acr) = acr {
        text.push_str(&format!(", at the level {}", line(acr)));
    }
    if let Some(scope) = scope {
        text.push_str(&format!(", with consent to {}", line(scope)));
    }
    text
}

/// All of it is the server's word.
fn noticed_in_words(noticed: Noticed) -> &'static str {
    match noticed {
        Noticed::FirstTimeResource => {
            "the requester's first time on this resource, says the server"
        }
        Noticed::FirstTimeRequester => "the requester's first request, says the server",
        Noticed::NewDevice => "a device that the requester did not use before, says the server",
        Noticed::NewPlace => "a place that the requester was not at before, says the server",
        Noticed::NewClient => "a program that the requester did not use before, says the server",
    }
}

fn state(outcome: Outcome, approvals: u32, needed: u32, left_secs: i64) -> String {
    match outcome {
        Outcome::Pending => format!(
            "{approvals} of {needed} approvals · {} left",
            duration(left_secs)
        ),
        Outcome::Approved
        | Outcome::Redeemed
        | Outcome::Denied
        | Outcome::Expired
        | Outcome::Withdrawn
        | Outcome::Voided => state_name(outcome).to_owned(),
    }
}

fn state_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pending => "waiting",
        Outcome::Approved => "approved",
        Outcome::Redeemed => "approved and used",
        Outcome::Denied => "denied",
        Outcome::Expired => "ran out of time",
        Outcome::Withdrawn => "withdrawn",
        Outcome::Voided => "void",
    }
}

#[derive(Default)]
struct Sheet(String);

impl Sheet {
    fn rule(&mut self) {
        self.0.push_str(&"─".repeat(72));
        self.0.push('\n');
    }

    fn heading(&mut self, text: &str) {
        self.0.push('\n');
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn say(&mut self, text: &str) {
        self.0.push_str("  ");
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn pair(&mut self, label: &str, text: &str) {
        self.say(&format!("{label:<16} {text}"));
    }

    fn fields(&mut self, fields: &[Field]) {
        for Field { label, lines } in fields {
            match lines.as_slice() {
                [] => self.pair(&safe(label), "(not stated)"),
                [first, rest @ ..] => {
                    self.pair(&safe(label), &line(first));
                    for more in rest {
                        self.pair("", &line(more));
                    }
                }
            }
        }
    }
}
