//! Open requests as they read: each is read once, however often it is looked at.
//!
//! The store's bytes stay the truth: what is kept serves a row of the very same bytes and no other. What is closed is
//! read when somebody asks, and not kept.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use countersign_evidence::documents::Request;
use countersign_lifecycle::{State, Terms};
use countersign_model::{Operation, Subject, Txn, UnixSecs};
use countersign_store::RequestRow;

use crate::app::about::{About, Loaded};
use crate::refused::Refused;

/// Requests that are kept.
const MAX_KEPT: usize = 4_096;
/// Bytes of memory that they take, at most: an operation may have 64 KiB.
const MAX_KEPT_BYTES: usize = 64 * 1024 * 1024;
/// What a byte of an operation takes when it is read, at worst: an array of digits has a value for two bytes.
const READ: usize = 16;

/// What was asked, as it reads.
#[derive(Debug, Clone)]
pub(crate) struct Paper {
    operation: Arc<Operation>,
    request: Arc<Request>,
    request_jws: Arc<str>,
    terms: Arc<Terms>,
}

/// Those of open requests.
#[derive(Debug, Default)]
pub(crate) struct Papers(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    papers: HashMap<Txn, Paper>,
    /// The oldest first; those that were kept again stand here more than once.
    order: VecDeque<Txn>,
    bytes: usize,
}

impl Paper {
    /// Of a request that was signed here.
    pub(crate) fn new(
        operation: Arc<Operation>,
        request: Request,
        request_jws: &str,
        requester: Subject,
        vote_until: UnixSecs,
    ) -> Paper {
        let acting: BTreeSet<Subject> = operation.act_chain().iter().cloned().collect();
        let terms = Terms {
            by: request.requirement.by,
            approvals: request.requirement.approvals,
            stages: request.requirement.stages.clone(),
            requester,
            acting,
            vote_until,
            grant_secs: request.requirement.grant_secs,
        };
        Paper {
            operation,
            request: Arc::new(request),
            request_jws: request_jws.into(),
            terms: Arc::new(terms),
        }
    }

    fn read(row: &RequestRow) -> Result<Paper, Refused> {
        let broken =
            |what: &dyn std::fmt::Display| Refused::broken("a stored request cannot be read", what);
        // What this server wrote is its own word: signatures are checked where votes and grants are judged.
        let (_, request) = Request::unverified(&row.request_jws).map_err(|error| broken(&error))?;
        let operation = Operation::parse(&row.operation).map_err(|error| broken(&error))?;
        Ok(Paper::new(
            Arc::new(operation),
            request,
            &row.request_jws,
            row.requester.clone(),
            row.vote_until,
        ))
    }

    fn is_of(&self, row: &RequestRow) -> bool {
        let Terms {
            requester,
            vote_until,
            ..
        } = &*self.terms;
        self.operation.bytes() == row.operation
            && *self.request_jws == *row.request_jws
            && *requester == row.requester
            && *vote_until == row.vote_until
    }

    fn bytes(&self) -> usize {
        READ * self.operation.bytes().len() + self.request_jws.len()
    }
}

impl Papers {
    /// A stored request with what it reads as.
    pub(crate) fn load(&self, row: RequestRow) -> Result<Loaded, Refused> {
        let known = self.kept().papers.get(&row.txn).cloned();
        let (paper, is_new) = match known.filter(|paper| paper.is_of(&row)) {
            Some(paper) => (paper, false),
            None => (Paper::read(&row)?, true),
        };
        match row.state {
            State::Pending(_) | State::Approved(_) if is_new => {
                self.keep(row.txn.clone(), paper.clone());
            }
            State::Pending(_) | State::Approved(_) => {}
            State::Redeemed(_)
            | State::Denied(_)
            | State::Expired(_)
            | State::Withdrawn(_)
            | State::Voided(_) => self.kept().forget(&row.txn),
        }
        let Paper {
            operation,
            request,
            request_jws: _,
            terms,
        } = paper;
        let about = About {
            voters: row.votes.iter().map(|vote| vote.person.clone()).collect(),
            operation,
            terms: Arc::clone(&terms),
        };
        Ok(Loaded {
            row,
            request,
            terms,
            about,
        })
    }

    /// Keeps what is about to be opened: who hears of it need not read it.
    pub(crate) fn keep(&self, txn: Txn, paper: Paper) {
        self.kept().keep(txn, paper);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, txn: &Txn) {
        if let Some(paper) = self.papers.remove(txn) {
            self.bytes -= paper.bytes();
        }
    }

    fn keep(&mut self, txn: Txn, paper: Paper) {
        self.bytes += paper.bytes();
        self.order.push_back(txn.clone());
        if let Some(before) = self.papers.insert(txn, paper) {
            self.bytes -= before.bytes();
        }
        while self.order.len() > MAX_KEPT || self.bytes > MAX_KEPT_BYTES {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            self.forget(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use countersign_evidence::SecretKey;
    use countersign_lifecycle::Expired;
    use countersign_model::{Digest, Issuer, PepId, Requirement, ServerId};
    use countersign_store::{RequestKey, Words};
    use serde_json::json;

    use super::*;

    const UNTIL: UnixSecs = UnixSecs(1_800_000_900);

    fn operation(note: &str) -> Arc<Operation> {
        let operation = Operation::build(json!({
            "subject": { "type": "user", "id": "https://op.example|mara" },
            "action": { "name": "orders.customers.delete", "properties": { "note": note } },
            "resource": { "type": "orders.customer", "id": "42" },
            "context": { "pep": "orders-gate", "nonce": "AAAAAAAAAAAAAAAAAAAAAA" },
        }));
        Arc::new(operation.unwrap())
    }

    fn requirement() -> Requirement {
        Requirement::from_value(&json!({
            "by": "others", "approvals": 1, "step_up": "none", "match": "none", "fresh_claims_secs": 300,
            "reason": "optional", "notify_buttons": "none", "ttl_secs": 900, "grant_secs": 120,
        }))
        .unwrap()
    }

    fn row(name: &str, note: &str) -> RequestRow {
        let operation = operation(note);
        let txn = Txn::parse(name).unwrap();
        let request = Request {
            iss: ServerId::parse("https://countersign.example").unwrap(),
            jti: "1".to_owned(),
            iat: UNTIL + -900,
            exp: UNTIL,
            txn: txn.clone(),
            operation_digest: operation.digest(),
            ask_digest: Digest::of(b"ask"),
            pep: PepId::parse("orders-gate").unwrap(),
            sub_id: operation.subject().clone(),
            requirement: requirement(),
            policy_digest: Digest::of(b"policy"),
        };
        RequestRow {
            key: RequestKey(1),
            version: 1,
            txn,
            pep: request.pep.clone(),
            requester: operation.subject().clone(),
            resource_type: "orders.customer".to_owned(),
            resource_id: "42".to_owned(),
            operation: operation.bytes().to_vec(),
            ask_jws: "ask".to_owned(),
            request_jws: request.sign(&SecretKey::generate([1; 32])),
            words: Words(["amber", "falcon"].map(str::to_owned)),
            opened_at: request.iat,
            vote_until: UNTIL,
            state: State::opened(),
            grant_jws: None,
            outcome: None,
            same: Digest::of(b"same"),
            first: Vec::new(),
            votes: Vec::new(),
        }
    }

    #[test]
    fn what_is_open_is_read_once_and_never_stands_for_other_bytes() {
        let papers = Papers::default();
        let first = papers.load(row("a", "one")).unwrap();
        let again = papers.load(row("a", "one")).unwrap();
        assert!(Arc::ptr_eq(&first.about.operation, &again.about.operation));
        assert!(Arc::ptr_eq(&first.request, &again.request));

        let other = papers.load(row("a", "two")).unwrap();
        assert_eq!(other.about.operation, operation("two"));
        let mut longer = row("a", "two");
        longer.vote_until = UNTIL + 1;
        assert_eq!(papers.load(longer).unwrap().terms.vote_until, UNTIL + 1);
        let mut of_another = row("a", "two");
        let otto = Subject::new(Issuer::parse("https://op.example").unwrap(), "otto").unwrap();
        of_another.requester = otto.clone();
        assert_eq!(papers.load(of_another).unwrap().terms.requester, otto);
        let mut signed_anew = row("a", "two");
        signed_anew.request_jws = row("b", "two").request_jws;
        let read = papers.load(signed_anew).unwrap().request;
        assert_eq!(read.txn.as_str(), "b");

        let mut unreadable = row("a", "two");
        unreadable.operation.pop();
        assert!(papers.load(unreadable).is_err());
    }

    #[test]
    fn what_is_closed_is_not_kept() {
        let papers = Papers::default();
        papers.load(row("a", "one")).unwrap();
        assert_eq!(papers.kept().papers.len(), 1);
        let mut closed = row("a", "one");
        closed.state = State::Expired(Expired {
            votes: Vec::new(),
            at: UNTIL,
        });
        papers.load(closed).unwrap();
        assert!(papers.kept().papers.is_empty() && papers.kept().bytes == 0);
        // However many of them are read, they take no place from one that is open.
        papers.load(row("b", "one")).unwrap();
        for n in 0..=MAX_KEPT {
            let mut past = row(&format!("past{n}"), "one");
            past.state = State::Expired(Expired {
                votes: Vec::new(),
                at: UNTIL,
            });
            papers.load(past).unwrap();
        }
        assert_eq!(papers.kept().papers.len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let papers = Papers::default();
        let note = "x".repeat(40_000);
        for n in 0..MAX_KEPT_BYTES / (READ * 40_000) + 10 {
            papers.load(row(&format!("t{n}"), &note)).unwrap();
            assert!(papers.kept().bytes <= MAX_KEPT_BYTES);
        }
        let one = papers.load(row("again", "small")).unwrap();
        for _ in 0..2 * MAX_KEPT {
            let paper = Paper::read(&one.row).unwrap();
            papers.keep(one.row.txn.clone(), paper);
        }
        let kept = papers.kept();
        assert!(kept.order.len() <= MAX_KEPT && kept.papers.len() <= MAX_KEPT);
        let held: usize = kept.papers.values().map(Paper::bytes).sum();
        assert_eq!(kept.bytes, held);
    }
}
