//! Approvals whose release asks for claims that are new (`release_claims_secs`): while one is open, the server gets
//! newer claims before the old ones are too old, so that nobody's approval falls only because time went by.

use std::collections::HashMap;
use std::time::Duration;

use countersign_api::http::RequestState;
use countersign_model::{Subject, UnixSecs};
use tokio::time::Instant;

use crate::item::Item;

/// Claims are made newer when so much of their time is left at the latest.
const MARGIN_SECS: i64 = 60;
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(15);

/// What is open, and when claims are due.
#[derive(Debug, Default)]
pub(crate) struct Releases {
    open: HashMap<String, Release>,
    due: Option<Instant>,
}

#[derive(Debug)]
struct Release {
    /// How old claims may be, in seconds.
    limit_secs: u32,
    /// After this no gate uses the approval any more.
    ends: UnixSecs,
}

impl Releases {
    /// What was learned about a request.
    pub(crate) fn note(&mut self, item: &Item, me: &Subject, claims_iat: UnixSecs, now: UnixSecs) {
        let counts = matches!(item.state, RequestState::Pending | RequestState::Approved);
        let release = item
            .genuine()
            .ok()
            .filter(|genuine| counts && genuine.approved_by(me).is_some())
            .and_then(|genuine| {
                let request = genuine.open.request();
                Some(Release {
                    limit_secs: request.requirement.release_claims_secs?,
                    ends: request.exp + i64::from(request.requirement.grant_secs),
                })
            });
        match release {
            Some(release) => drop(self.open.insert(item.txn.clone(), release)),
            None => drop(self.open.remove(&item.txn)),
        }
        self.plan(claims_iat, now);
    }

    /// Plans the next refresh for claims of this time.
    pub(crate) fn plan(&mut self, claims_iat: UnixSecs, now: UnixSecs) {
        self.open.retain(|_, release| now <= release.ends);
        let strictest = self
            .open
            .values()
            .map(|release| i64::from(release.limit_secs))
            .min();
        self.due = strictest.map(|secs| {
            let left = claims_iat + secs - now - MARGIN_SECS.min(secs / 3);
            Instant::now() + Duration::from_secs(u64::try_from(left).unwrap_or(0))
        });
    }

    /// It did not work: later.
    pub(crate) fn later(&mut self) {
        self.due = Some(Instant::now() + PAUSE);
    }

    /// It never will, without a sign-in.
    pub(crate) fn give_up(&mut self) {
        self.due = None;
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }
}
