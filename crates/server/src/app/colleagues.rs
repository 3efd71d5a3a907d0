//! Who may stand in: other people with a live device whom today's policy would let vote on what this person was asked
//! about lately and may vote on. The policy is asked about operations that there were: of others it knows nothing.

use std::collections::{BTreeMap, BTreeSet};

use countersign_api::http::{ColleagueList, ColleagueView};
use countersign_model::{Digest, Issuer, PolicyCheck, Subject};
use countersign_store::HistoryFilter;

use super::App;
use super::about::{About, Loaded, Viewer};
use super::absence::Known;
use super::token::Approver;
use crate::refused::Refused;

/// Requests that are looked through, open and ended ones each.
const MAX_SCANNED: usize = 200;
/// Operations that the policy is asked about for each colleague.
const MAX_SAMPLES: usize = 24;
/// Resources of one type that are named one by one; more are named by their type.
const MAX_OF_TYPE: usize = 5;
/// People in one list.
const MAX_LISTED: usize = 200;

/// An operation that this person may vote on.
struct Sample {
    about: About,
    /// The stages that they may vote in; one without a name where there are none.
    stages: Vec<Option<String>>,
}

impl Sample {
    fn may(&self, policy: &dyn PolicyCheck, known: &Known) -> bool {
        let operation = &self.about.operation;
        self.stages.iter().any(|stage| {
            policy
                .may_vote(&known.voter, operation, stage.as_deref())
                .is_ok()
        })
    }
}

impl App {
    /// The list.
    pub(crate) async fn colleagues(&self, approver: &Approver) -> Result<ColleagueList, Refused> {
        self.absence_rate(approver)?;
        let Some(me) = self.known_as(&approver.binding.person).await? else {
            return Ok(ColleagueList {
                colleagues: Vec::new(),
                resources: Vec::new(),
            });
        };
        let samples = self.samples(&me).await?;
        // Where they are too many to look at each, nobody is listed.
        let present = self.present().await?.unwrap_or_default();
        let policy = self.policy();
        let list = move || list(&*policy, &me, &samples, present);
        tokio::task::spawn_blocking(list)
            .await
            .map_err(|error| Refused::broken("colleagues could not be looked for", &error))
    }

    /// Somebody whom this person names, with their newest device. Whoever does not exist gets the same refusal as
    /// whoever may not vote.
    pub(super) async fn named(
        &self,
        approver: &Approver,
        iss: &str,
        sub: &str,
    ) -> Result<(Subject, Digest), Refused> {
        let refused = || {
            Refused::forbidden(
                "stand_in_not_eligible",
                "Name somebody who is signed in and whom the policy lets vote on what you were asked about lately.",
            )
        };
        let iss = Issuer::parse(iss).map_err(|_| refused())?;
        let subject = Subject {
            iss,
            sub: sub.to_owned(),
        };
        let known = self.known_as(&subject).await?.ok_or_else(refused)?;
        if !self.may_stand_in(approver, &known).await? {
            return Err(refused());
        }
        let devices = self.store.bindings_of(&subject, self.now()).await?;
        let newest = devices.first().ok_or_else(refused)?;
        Ok((subject, newest.id))
    }

    /// Whether the policy lets this other person vote on anything that this one may vote on.
    pub(super) async fn may_stand_in(
        &self,
        approver: &Approver,
        known: &Known,
    ) -> Result<bool, Refused> {
        let Some(me) = self.known_as(&approver.binding.person).await? else {
            return Ok(false);
        };
        let policy = self.policy();
        let samples = self.samples(&me).await?;
        Ok(known.person != me.person && samples.iter().any(|sample| sample.may(&*policy, known)))
    }

    /// What this person was asked about lately and may vote on: one of each kind, the newest.
    async fn samples(&self, me: &Known) -> Result<Vec<Sample>, Refused> {
        let policy = self.policy();
        let mut rows = self.store.pending(None, MAX_SCANNED).await?;
        let ended = HistoryFilter {
            limit: MAX_SCANNED,
            ..HistoryFilter::default()
        };
        let ended = self.store.history(ended).await?.rows;
        rows.extend(ended.into_iter().map(|(_, row)| row));
        rows.sort_by_key(|row| std::cmp::Reverse(row.key));
        let viewer = Viewer {
            voter: me.voter.clone(),
        };
        let mut seen = BTreeSet::new();
        let mut samples = Vec::new();
        let read = rows.into_iter().flat_map(|row| self.papers.load(row));
        for Loaded { about, .. } in read {
            let operation = &about.operation;
            let kind = (
                operation.action().to_owned(),
                operation.resource_type().to_owned(),
                operation.resource_id().to_owned(),
            );
            if seen.contains(&kind) {
                continue;
            }
            let stages = stages_of(&*policy, &viewer, &about);
            if !stages.is_empty() {
                seen.insert(kind);
                samples.push(Sample { about, stages });
            }
            if samples.len() == MAX_SAMPLES {
                break;
            }
        }
        Ok(samples)
    }
}

/// The stages that somebody may vote in.
fn stages_of(policy: &dyn PolicyCheck, viewer: &Viewer, about: &About) -> Vec<Option<String>> {
    let mut all: Vec<Option<String>> = about.stages().map(|name| Some(name.to_owned())).collect();
    if all.is_empty() {
        all.push(None);
    }
    let may = |stage: &Option<String>| {
        policy
            .may_vote(&viewer.voter, &about.operation, stage.as_deref())
            .is_ok()
    };
    all.into_iter().filter(may).collect()
}

fn list(
    policy: &dyn PolicyCheck,
    me: &Known,
    samples: &[Sample],
    present: Vec<Known>,
) -> ColleagueList {
    let named = by_name(samples);
    let mut colleagues = Vec::new();
    for known in present {
        if known.person == me.person {
            continue;
        }
        let may: Vec<bool> = samples.iter().map(|it| it.may(policy, &known)).collect();
        if !may.contains(&true) {
            continue;
        }
        let all_of = |places: &Vec<usize>| places.iter().all(|place| may[*place]);
        let resources = named
            .iter()
            .filter(|(_, places)| all_of(places))
            .map(|(name, _)| name.clone());
        colleagues.push(ColleagueView {
            iss: known.voter.subject.iss.to_string(),
            sub: known.voter.subject.sub.clone(),
            name: known.name,
            resources: resources.collect(),
        });
    }
    colleagues.sort_by(|a, b| (&a.name, &a.iss, &a.sub).cmp(&(&b.name, &b.iss, &b.sub)));
    colleagues.truncate(MAX_LISTED);
    ColleagueList {
        colleagues,
        resources: named.into_keys().collect(),
    }
}

/// What to call the samples: by their resource, or, where a type has many, by the type.
fn by_name(samples: &[Sample]) -> BTreeMap<String, Vec<usize>> {
    let mut ids: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for sample in samples {
        let operation = &sample.about.operation;
        ids.entry(operation.resource_type())
            .or_default()
            .insert(operation.resource_id());
    }
    let mut named: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, sample) in samples.iter().enumerate() {
        let operation = &sample.about.operation;
        let kind = operation.resource_type();
        let name = if ids[kind].len() > MAX_OF_TYPE {
            kind.to_owned()
        } else {
            format!("{kind} {}", operation.resource_id())
        };
        named.entry(name).or_default().push(place);
    }
    named
}
