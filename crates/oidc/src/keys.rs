//! The memory of a provider's keys: when to fetch, what is current, what was seen. No network and no
//! clock here; [`crate::Provider`] fetches.
//!
//! A provider may drop a key the moment it rotates, while bindings that it signed are still good. So
//! there are two sets: *current* keys judge access tokens, keys *seen* within the session length judge
//! evidence (protocol, section 1).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use countersign_evidence::op_token::{OpKeys, OpTokenError};
use countersign_model::UnixSecs;

/// After this many seconds the keys are fetched anew.
pub const REFRESH_SECS: i64 = 3600;
/// Between two fetches for an unknown `kid`, in seconds.
pub const UNKNOWN_KID_SECS: i64 = 60;
/// Between two fetches while none has worked yet, in seconds.
pub const RETRY_SECS: i64 = 5;
/// Keys that could not be fetched anew for this long are not used any more, in seconds.
pub const STALE_SECS: i64 = 12 * 3600;
/// The most keys that are remembered of one provider.
pub const MAX_KEYS: usize = 64;

/// A provider's keys at one moment.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    /// What the provider publishes: judges access tokens and fresh ID tokens.
    pub current: OpKeys,
    /// Those, and others seen within the session length: judges evidence.
    pub seen: OpKeys,
}

/// What has to be done before a key can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Use what is there.
    Nothing,
    /// Use what is there, and fetch meanwhile.
    Soon,
    /// Fetch first.
    Now,
    /// A fetch failed a moment ago: not yet again.
    Wait,
}

/// One remembered key.
#[derive(Debug, Clone)]
struct Seen {
    jwk: Value,
    last: UnixSecs,
}

/// The memory.
#[derive(Debug, Default)]
pub(crate) struct KeyMemory {
    current: Vec<Value>,
    seen: BTreeMap<String, Seen>,
    fetched_at: Option<UnixSecs>,
    tried_at: Option<UnixSecs>,
    /// Both sets, made once for each fetch.
    set: Arc<KeySet>,
}

impl KeyMemory {
    /// What to do before looking for `kid`. Differences are absolute: a clock that went back must not
    /// stop refreshing.
    pub(crate) fn need(&self, kid: Option<&str>, now: UnixSecs) -> Need {
        let since = |then: Option<UnixSecs>| then.map_or(i64::MAX, |then| (now.0 - then.0).abs());
        let (fetched, tried) = (since(self.fetched_at), since(self.tried_at));
        if fetched >= STALE_SECS {
            return if tried < RETRY_SECS {
                Need::Wait
            } else {
                Need::Now
            };
        }
        let known = kid.is_none_or(|kid| self.current.iter().any(|jwk| jwk["kid"] == kid));
        if !known && tried >= UNKNOWN_KID_SECS {
            Need::Now
        } else if fetched >= REFRESH_SECS && tried >= UNKNOWN_KID_SECS {
            Need::Soon
        } else {
            Need::Nothing
        }
    }

    /// A fetch begins.
    pub(crate) fn trying(&mut self, now: UnixSecs) {
        self.tried_at = Some(now);
    }

    /// A fetch worked. What it brought may still be no key set: then nothing changes.
    pub(crate) fn fetched(
        &mut self,
        jwks: &Value,
        keep_secs: i64,
        now: UnixSecs,
    ) -> Result<(), OpTokenError> {
        let mut current = OpKeys::from_jwks(jwks)?;
        let mut jwks: Vec<Value> = jwks["keys"].as_array().cloned().unwrap_or_default();
        if jwks.len() > MAX_KEYS {
            jwks.truncate(MAX_KEYS);
            current = OpKeys::from_jwks(&serde_json::json!({ "keys": jwks }))?;
        }
        for jwk in &jwks {
            self.seen.insert(
                jwk.to_string(),
                Seen {
                    jwk: jwk.clone(),
                    last: now,
                },
            );
        }
        self.seen
            .retain(|_, seen| (now - seen.last).abs() <= keep_secs);
        while self.seen.len() > MAX_KEYS {
            let oldest = self
                .seen
                .iter()
                .min_by_key(|(_, seen)| seen.last)
                .map(|(name, _)| name.clone());
            oldest.and_then(|name| self.seen.remove(&name));
        }
        let all: Vec<&Value> = self.seen.values().map(|seen| &seen.jwk).collect();
        let seen = OpKeys::from_jwks(&serde_json::json!({ "keys": all }))?;
        self.set = Arc::new(KeySet { current, seen });
        self.current = jwks;
        self.fetched_at = Some(now);
        Ok(())
    }

    /// Keys that an earlier run saw: they judge evidence only.
    pub(crate) fn restore(
        &mut self,
        kept: impl IntoIterator<Item = (Value, UnixSecs)>,
    ) -> Result<(), OpTokenError> {
        for (jwk, last) in kept.into_iter().take(MAX_KEYS) {
            self.seen.insert(jwk.to_string(), Seen { jwk, last });
        }
        let all: Vec<&Value> = self.seen.values().map(|seen| &seen.jwk).collect();
        let seen = OpKeys::from_jwks(&serde_json::json!({ "keys": all }))?;
        self.set = Arc::new(KeySet {
            current: self.set.current.clone(),
            seen,
        });
        Ok(())
    }

    /// What a later run should know.
    pub(crate) fn to_keep(&self) -> Vec<(Value, UnixSecs)> {
        self.seen
            .values()
            .map(|seen| (seen.jwk.clone(), seen.last))
            .collect()
    }

    /// Both sets, for use.
    pub(crate) fn set(&self) -> Arc<KeySet> {
        Arc::clone(&self.set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_800_000_000;

    fn memory(kids: &[&str], at: i64) -> KeyMemory {
        let mut memory = KeyMemory::default();
        fetch(&mut memory, kids, at);
        memory
    }

    fn fetch(memory: &mut KeyMemory, kids: &[&str], at: i64) {
        let keys: Vec<Value> = kids
            .iter()
            .map(|kid| serde_json::json!({ "kid": kid }))
            .collect();
        memory.trying(UnixSecs(at));
        memory
            .fetched(&serde_json::json!({ "keys": keys }), 43_200, UnixSecs(at))
            .unwrap();
    }

    #[test]
    fn first_use_fetches_and_a_failure_is_not_repeated_at_once() {
        let mut memory = KeyMemory::default();
        assert_eq!(memory.need(Some("a"), UnixSecs(T)), Need::Now);
        memory.trying(UnixSecs(T));
        assert_eq!(memory.need(Some("a"), UnixSecs(T + 4)), Need::Wait);
        assert_eq!(memory.need(Some("a"), UnixSecs(T + 5)), Need::Now);
    }

    #[test]
    fn ten_thousand_unknown_kids_cost_one_fetch_a_minute() {
        let mut memory = memory(&["a"], T);
        let mut fetches = 0;
        for n in 0..10_000 {
            let now = UnixSecs(T + n * 120 / 10_000);
            if memory.need(Some(&format!("forged-{n}")), now) == Need::Now {
                memory.trying(now);
                fetches += 1;
            }
        }
        assert_eq!(fetches, 1);
    }

    #[test]
    fn rotation_is_seen_within_a_minute() {
        let mut memory = memory(&["a"], T);
        assert_eq!(memory.need(Some("b"), UnixSecs(T + 59)), Need::Nothing);
        assert_eq!(memory.need(Some("b"), UnixSecs(T + 60)), Need::Now);
        fetch(&mut memory, &["b"], T + 60);
        assert_eq!(memory.need(Some("b"), UnixSecs(T + 61)), Need::Nothing);
        assert_eq!(memory.current.len(), 1);
        assert_eq!(
            memory.seen.len(),
            2,
            "what the old key signed can still be verified"
        );
    }

    #[test]
    fn known_keys_refresh_hourly_without_waiting_and_end_when_never_refreshed() {
        let mut memory = memory(&["a"], T);
        assert_eq!(memory.need(Some("a"), UnixSecs(T + 3599)), Need::Nothing);
        assert_eq!(memory.need(Some("a"), UnixSecs(T + 3600)), Need::Soon);
        memory.trying(UnixSecs(T + 3600));
        assert_eq!(memory.need(Some("a"), UnixSecs(T + 3601)), Need::Nothing);
        assert_eq!(memory.need(Some("a"), UnixSecs(T + STALE_SECS)), Need::Now);
    }

    #[test]
    fn keys_not_seen_for_the_session_length_are_forgotten() {
        let mut memory = memory(&["a"], T);
        fetch(&mut memory, &["b"], T + 43_200);
        assert_eq!(memory.seen.len(), 2);
        fetch(&mut memory, &["b"], T + 43_201);
        assert_eq!(memory.seen.len(), 1);
    }

    #[test]
    fn a_clock_that_went_back_does_not_stop_refreshing() {
        let memory = memory(&["a"], T);
        assert_eq!(memory.need(Some("a"), UnixSecs(T - 7200)), Need::Soon);
    }

    #[test]
    fn what_is_no_key_set_changes_nothing() {
        let mut memory = memory(&["a"], T);
        memory.trying(UnixSecs(T + 60));
        assert!(
            memory
                .fetched(
                    &serde_json::json!({ "error": "maintenance" }),
                    43_200,
                    UnixSecs(T + 60)
                )
                .is_err()
        );
        assert_eq!(memory.need(Some("a"), UnixSecs(T + 61)), Need::Nothing);
        assert_eq!(memory.current.len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut memory = KeyMemory::default();
        for round in 0..10 {
            let kids: Vec<String> = (0..200).map(|n| format!("{round}-{n}")).collect();
            fetch(
                &mut memory,
                &kids.iter().map(String::as_str).collect::<Vec<_>>(),
                T + round,
            );
        }
        assert_eq!(memory.current.len(), MAX_KEYS);
        assert_eq!(memory.seen.len(), MAX_KEYS);
        assert!(
            memory
                .current
                .iter()
                .all(|jwk| memory.seen.contains_key(&jwk.to_string())),
            "current ones are kept"
        );
    }
}
