//! Being away: said by the person, told to those who wait, over by the server's clock.
//!
//! It informs and routes. Nothing here is asked when a vote is judged: whoever is away may vote all the same, and
//! whom they name votes as themselves, where the policy lets them anyway (protocol, section 8). Of a request, those
//! who may see it are told of the people who may vote on it, and of nobody else.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use countersign_api::http::{
    Absence, AbsenceAnswer, AbsenceRequest, AwayView, MAX_ABSENCE_SECS, MAX_AWAY, StandIn,
};
use countersign_api::stream::ServerBody;
use countersign_lifecycle::{Kind, State};
use countersign_model::{Digest, Person, PolicyCheck, Subject, UnixSecs, Voter};
use countersign_store::{AbsenceRow, Conflict, Tx, Write};
use serde_json::json;

use super::App;
use super::about::{Loaded, asked, claims_of, may_vote_sometime, name_of};
use super::change::{entry_of, publish};
use super::token::Approver;
use crate::refused::{Refused, Scheme};
use crate::replay::Rate;

/// Open requests whose viewers are told that somebody is away or back, most urgent first. The others see it when
/// they look.
const MAX_TOLD: usize = 100;
/// People who are away and looked at for one request.
const MAX_LOOKED_AT: usize = 200;
/// People with a live device who are counted. Where there are more, nobody is counted.
const MAX_COUNTED: usize = 500;
/// Questions to the policy for one answer. What is left then is not counted.
const MAX_QUESTIONS: usize = 10_000;

/// Everybody who is away or will be, as the store has it: looked at for each request, changed now and then.
#[derive(Debug)]
pub(crate) struct Absences {
    rows: RwLock<Arc<Vec<AbsenceRow>>>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
    /// How often people change theirs, and look for colleagues.
    pub(super) calls: Rate,
}

/// Somebody of whom a provider has told.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) voter: Voter,
    pub(super) person: Person,
    pub(super) name: String,
}

/// Who is away now, for one answer.
#[derive(Debug, Default)]
pub(crate) struct Board {
    away: Vec<Away>,
    /// Everybody with a live device; none where they are too many, or nobody is away.
    present: Option<Vec<Known>>,
    questions: std::sync::atomic::AtomicUsize,
}

#[derive(Debug)]
struct Away {
    known: Known,
    until: UnixSecs,
    stand_in: Option<Known>,
}

impl Absences {
    pub(crate) fn new(rows: Vec<AbsenceRow>) -> Absences {
        Absences {
            rows: RwLock::new(Arc::new(rows)),
            changing: tokio::sync::Mutex::default(),
            calls: Rate::default(),
        }
    }

    fn all(&self) -> Arc<Vec<AbsenceRow>> {
        Arc::clone(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, rows: Arc<Vec<AbsenceRow>>) {
        *self.rows.write().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    /// As it is until it is said to be over: what its time has ended is none.
    fn of(&self, person: &Subject, now: UnixSecs) -> Option<AbsenceRow> {
        let all = self.all();
        let found = all.iter().find(|row| row.person == *person);
        found.filter(|row| now < row.until).cloned()
    }
}

/// Leave to change one: they come one after the other.
type Turn<'a> = tokio::sync::MutexGuard<'a, ()>;

fn is_away(row: &AbsenceRow, now: UnixSecs) -> bool {
    row.from <= now && now < row.until
}

impl App {
    /// The signed-in person's own.
    pub(crate) async fn absence(&self, approver: &Approver) -> Result<AbsenceAnswer, Refused> {
        let row = self.absences.of(&approver.binding.person, self.now());
        Ok(AbsenceAnswer {
            absence: match row {
                Some(row) => Some(self.absence_view(approver, row).await?),
                None => None,
            },
        })
    }

    async fn absence_view(&self, approver: &Approver, row: AbsenceRow) -> Result<Absence, Refused> {
        let stand_in = match row.stand_in {
            Some(subject) => {
                let known = self.known_as(&subject).await?;
                let eligible = match &known {
                    Some(known) => self.may_stand_in(approver, known).await?,
                    None => false,
                };
                Some(StandIn {
                    iss: subject.iss.to_string(),
                    name: known.map_or_else(|| subject.sub.clone(), |known| known.name),
                    sub: subject.sub,
                    eligible,
                })
            }
            None => None,
        };
        Ok(Absence {
            from: row.from.0,
            until: row.until.0,
            stand_in,
        })
    }

    /// This person is away, in place of what was said before.
    pub(crate) async fn set_absence(
        &self,
        approver: &Approver,
        request: &AbsenceRequest,
    ) -> Result<AbsenceAnswer, Refused> {
        self.absence_rate(approver)?;
        let now = self.now();
        let (from, until) = span(request, now)?;
        let mut stand_in = None;
        if let Some(named) = &request.stand_in {
            stand_in = Some(self.named(approver, &named.iss, &named.sub).await?);
        }
        let (stand_in, their_device) = match stand_in {
            Some((subject, device)) => (Some(subject), Some(device.to_string())),
            None => (None, None),
        };
        let row = AbsenceRow {
            person: approver.binding.person.clone(),
            from,
            until,
            stand_in,
            binding: approver.binding.id,
            begun: from <= now,
        };
        let detail = json!({
            "binding": row.binding.to_string(), "from": from.0, "until": until.0, "stand_in": their_device,
        });
        let mut tx = Tx::new();
        tx.push(Write::ExpectUnrevoked(approver.binding.id));
        tx.push(Write::SetAbsence(row.clone()));
        tx.push(entry_of(now, None, "absence", &detail));
        let turn = self.absences.changing.lock().await;
        self.change_absence(&turn, tx, &row.person, Some(row.clone()), now)
            .await?;
        drop(turn);
        Ok(AbsenceAnswer {
            absence: Some(self.absence_view(approver, row).await?),
        })
    }

    /// This person is back. Once they are, again is the same answer.
    pub(crate) async fn end_absence(&self, approver: &Approver) -> Result<(), Refused> {
        self.absence_rate(approver)?;
        let now = self.now();
        let turn = self.absences.changing.lock().await;
        match self.absences.of(&approver.binding.person, now) {
            Some(row) => self.end(&turn, &row, Some(approver.binding.id), now).await,
            None => Ok(()),
        }
    }

    /// Begins and ends what is due by the clock.
    pub(crate) async fn turn_absences(&self, now: UnixSecs) -> Result<(), Refused> {
        let is_due = |row: &AbsenceRow| row.until <= now || (row.from <= now && !row.begun);
        if !self.absences.all().iter().any(is_due) {
            return Ok(());
        }
        let turn = self.absences.changing.lock().await;
        for row in self.absences.all().iter().filter(|row| is_due(row)) {
            if row.until <= now {
                self.end(&turn, row, None, now).await?;
                continue;
            }
            let begun = AbsenceRow {
                begun: true,
                ..row.clone()
            };
            let mut tx = Tx::new();
            tx.push(Write::BeginAbsence(row.person.clone()));
            self.change_absence(&turn, tx, &row.person, Some(begun), now)
                .await?;
        }
        Ok(())
    }

    /// By this device, or by the time.
    async fn end(
        &self,
        turn: &Turn<'_>,
        row: &AbsenceRow,
        by: Option<Digest>,
        now: UnixSecs,
    ) -> Result<(), Refused> {
        let detail = json!({
            "binding": row.binding.to_string(),
            "by": by.map_or_else(|| "time".to_owned(), |device| device.to_string()),
        });
        let mut tx = Tx::new();
        tx.push(Write::EndAbsence(row.person.clone()));
        tx.push(entry_of(now, None, "absence-ended", &detail));
        self.change_absence(turn, tx, &row.person, None, now).await
    }

    /// Writes a change, and tells: the person's own devices, and those who see what the person may vote on.
    async fn change_absence(
        &self,
        _turn: &Turn<'_>,
        mut tx: Tx,
        person: &Subject,
        row: Option<AbsenceRow>,
        now: UnixSecs,
    ) -> Result<(), Refused> {
        let before = self.absences.all();
        let seen = |row: &AbsenceRow| row.person == *person && row.from <= now;
        if before.iter().chain(&row).any(seen) {
            self.tell_viewers(&mut tx, person, now).await?;
        }
        let changed = ServerBody::AbsenceChanged {};
        tx.push(publish(now, None, Some(person), &changed));
        let mut rows: Vec<AbsenceRow> = before
            .iter()
            .filter(|row| row.person != *person)
            .chain(&row)
            .cloned()
            .collect();
        rows.sort_by(|a, b| (a.until, &a.person).cmp(&(b.until, &b.person)));
        // Before it is durable: whoever is told looks at once. What is not written is put back.
        self.absences.put(Arc::new(rows));
        let done = match self.commit(tx).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(Conflict::Revoked)) => Err(Refused::unauthorized(
                Scheme::Dpop,
                "binding_revoked",
                "This device was signed out: sign in again.",
            )),
            Ok(Err(_)) => Err(App::contended()),
            Err(refused) => Err(refused),
        };
        self.absences.put(before);
        done
    }

    /// Those who see what this person may vote on look again.
    async fn tell_viewers(
        &self,
        tx: &mut Tx,
        person: &Subject,
        now: UnixSecs,
    ) -> Result<(), Refused> {
        let Some(known) = self.known_as(person).await? else {
            return Ok(());
        };
        let policy = self.policy();
        let open = self.store.pending(None, MAX_TOLD).await?;
        for loaded in open.into_iter().flat_map(|row| self.papers.load(row)) {
            let viewer = super::about::Viewer {
                voter: known.voter.clone(),
            };
            if may_vote_sometime(&*policy, &viewer, &loaded.about) {
                let txn = &loaded.row.txn;
                let updated = ServerBody::RequestUpdated {
                    txn: txn.to_string(),
                };
                tx.push(publish(now, Some(txn), None, &updated));
            }
        }
        Ok(())
    }

    pub(super) fn absence_rate(&self, approver: &Approver) -> Result<(), Refused> {
        let key = Digest::of(approver.binding.person.to_string().as_bytes());
        if self.absences.calls.allows(key, self.now()) {
            return Ok(());
        }
        Err(Refused::too_many("Too many changes within a minute.", 60))
    }

    /// An account by the newest that its provider has said; none where that is nothing, or the provider is no longer
    /// one of approvers.
    pub(super) async fn known_as(&self, account: &Subject) -> Result<Option<Known>, Refused> {
        let claims = self.store.claims(account).await?;
        Ok(claims.and_then(|row| self.known_by(account, &row.token)))
    }

    pub(super) fn known_by(&self, account: &Subject, token: &str) -> Option<Known> {
        let op = &self.approvers_of(account.iss.as_str())?.config.op;
        let claims = claims_of(token)?;
        Some(Known {
            name: name_of(&claims, account),
            person: op.person(account, &claims)?,
            voter: op.voter(account.clone(), claims),
        })
    }

    /// Everybody with a live device; none where they are too many to look at each.
    pub(super) async fn present(&self) -> Result<Option<Vec<Known>>, Refused> {
        let found = self.store.people(self.now(), MAX_COUNTED + 1).await?;
        if found.len() > MAX_COUNTED {
            return Ok(None);
        }
        let known = found
            .iter()
            .filter_map(|(account, claims)| self.known_by(account, &claims.token));
        Ok(Some(known.collect()))
    }

    /// Who is away now, for one request: nobody waits for one that is not open.
    pub(crate) async fn board_for(&self, state: &State) -> Result<Board, Refused> {
        match state.kind() {
            Kind::Pending => self.board().await,
            Kind::Approved
            | Kind::Redeemed
            | Kind::Denied
            | Kind::Expired
            | Kind::Withdrawn
            | Kind::Voided => Ok(Board::default()),
        }
    }

    /// Who is away now. Where nobody is, that costs nothing.
    pub(crate) async fn board(&self) -> Result<Board, Refused> {
        let (now, all) = (self.now(), self.absences.all());
        let mut board = Board::default();
        for row in all
            .iter()
            .filter(|row| is_away(row, now))
            .take(MAX_LOOKED_AT)
        {
            let Some(known) = self.known_as(&row.person).await? else {
                continue;
            };
            let stand_in = match &row.stand_in {
                // Who is away themselves cannot stand in.
                Some(named) if !all.iter().any(|it| it.person == *named && is_away(it, now)) => {
                    self.known_as(named).await?
                }
                Some(_) | None => None,
            };
            board.away.push(Away {
                known,
                until: row.until,
                stand_in,
            });
        }
        if !board.away.is_empty() {
            board.present = self.present().await?;
        }
        Ok(board)
    }
}

impl Board {
    /// Of those who may vote on an open request now: who is away, and how many others there are. For this reader,
    /// where they are a person: their own absence is not told to them, nor are they counted among the others.
    pub(crate) fn of(
        &self,
        policy: &dyn PolicyCheck,
        loaded: &Loaded,
        reader: Option<&Subject>,
    ) -> (Vec<AwayView>, Option<u32>) {
        let votes = loaded.row.state.votes();
        let stage = loaded.row.state.open_stage(&loaded.terms);
        let stage = stage.map(|stage| stage.name.as_str());
        let may = |known: &Known| {
            let who = &known.voter.subject;
            !asked(who, &loaded.about)
                && !votes.iter().any(|vote| vote.person == known.person)
                && self.may_ask()
                && policy
                    .may_vote(&known.voter, &loaded.about.operation, stage)
                    .is_ok()
        };
        let is_reader = |known: &Known| reader == Some(&known.voter.subject);
        let mut views = Vec::new();
        for away in self.away.iter().filter(|away| !is_reader(&away.known)) {
            if views.len() == MAX_AWAY || !may(&away.known) {
                continue;
            }
            let stand_in = away.stand_in.as_ref().filter(|it| may(it));
            views.push(AwayView {
                name: away.known.name.clone(),
                until: away.until.0,
                stand_in: stand_in.map(|it| it.name.clone()),
                names_you: stand_in.is_some_and(is_reader),
            });
        }
        let counted = self.present.as_ref().filter(|_| !views.is_empty());
        let others = counted.map(|present| {
            let gone: BTreeSet<&Person> = self.away.iter().map(|it| &it.known.person).collect();
            let me = present.iter().find(|it| is_reader(it)).map(|it| &it.person);
            let there = present
                .iter()
                .filter(|it| !gone.contains(&it.person) && Some(&it.person) != me && may(it));
            let people: BTreeSet<&Person> = there.map(|it| &it.person).collect();
            u32::try_from(people.len()).unwrap_or(u32::MAX)
        });
        // A count that broke off counts nobody.
        (views, others.filter(|_| self.may_ask()))
    }

    fn may_ask(&self) -> bool {
        use std::sync::atomic::Ordering::Relaxed;
        self.questions.fetch_add(1, Relaxed) < MAX_QUESTIONS
    }
}

/// From when until when, within bounds.
fn span(request: &AbsenceRequest, now: UnixSecs) -> Result<(UnixSecs, UnixSecs), Refused> {
    let (from, until) = (UnixSecs(request.from.max(now.0)), UnixSecs(request.until));
    let refused = |detail: &str| Err(Refused::malformed("absence_time", detail));
    if until <= from {
        return refused("An absence ends after it has begun, and after now.");
    }
    let longest = MAX_ABSENCE_SECS;
    if from.0.saturating_sub(now.0) > longest || until.0.saturating_sub(from.0) > longest {
        return refused("An absence begins within 90 days, and lasts 90 days at most.");
    }
    Ok((from, until))
}
