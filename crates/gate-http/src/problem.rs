//! The gate's own answers: RFC 9457 problems, each with a stable code and a sentence that says what to do.

use bytes::Bytes;
use countersign_api::http::AwayView;
use countersign_model::{By, Requirement, StepUp, Txn};
use countersign_pep::{Kind, Over, Refusal, Told};
use http::header::{self, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::{Map, Value, json};

use crate::caller::NotLetIn;
use crate::challenge::{Challenge, Lacks};

/// Where a caller reads the id to come back with.
const APPROVAL_ID: HeaderName = HeaderName::from_static("approval-id");
/// When a caller should come back, in seconds.
const RETRY_AFTER_SECS: u32 = 5;

/// An answer that is not the upstream's.
#[derive(Debug, Clone)]
pub struct Problem(Box<Said>);

/// In a box: errors travel through every step of a call.
#[derive(Debug, Clone)]
struct Said {
    status: StatusCode,
    code: String,
    title: &'static str,
    detail: String,
    more: Map<String, Value>,
    authenticate: Option<HeaderValue>,
    approval_id: Option<Txn>,
    retry_after: Option<u32>,
}

impl Problem {
    fn new(status: StatusCode, code: &str, title: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Said {
            status,
            code: code.to_owned(),
            title,
            detail: detail.into(),
            more: Map::new(),
            authenticate: None,
            approval_id: None,
            retry_after: None,
        }))
    }

    /// 400: a rule about how a call must be written.
    pub fn bad_call(code: &str, sentence: &str) -> Self {
        let detail = format!("This gate refuses the call: {sentence}.");
        Self::new(StatusCode::BAD_REQUEST, code, "The call is refused", detail)
    }

    /// 401 or 503: the caller is not let in.
    pub fn not_let_in(not: &NotLetIn) -> Self {
        let title = "The caller is not signed in";
        match not {
            NotLetIn::NoToken => {
                let mut problem = Self::new(
                    StatusCode::UNAUTHORIZED,
                    "token_missing",
                    title,
                    "Send an access token: `Authorization: Bearer …` (`countersign token` gets one).",
                );
                problem.0.authenticate =
                    Some(HeaderValue::from_static("Bearer realm=\"countersign\""));
                problem
            }
            NotLetIn::Invalid { code, sentence } => {
                let mut problem = Self::new(
                    StatusCode::UNAUTHORIZED,
                    code,
                    title,
                    format!(
                        "The access token is refused: {sentence}. Get a new one, then try again."
                    ),
                );
                // RFC 6750, 3: these values hold neither quotes nor backslashes, whatever the sentence says.
                let said: String = sentence
                    .chars()
                    .filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
                    .take(200)
                    .collect();
                let value = format!(
                    "Bearer realm=\"countersign\", error=\"invalid_token\", error_description=\"{said}\""
                );
                problem.0.authenticate = HeaderValue::from_str(&value).ok();
                problem
            }
            NotLetIn::Unavailable { sentence } => {
                let mut problem = Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "provider_unreachable",
                    "Nobody can be let in now",
                    sentence.clone(),
                );
                problem.0.retry_after = Some(RETRY_AFTER_SECS);
                problem
            }
        }
    }

    /// 403 or 401: the token is good, and not good enough for this call.
    pub fn challenged(challenge: &Challenge) -> Self {
        let (status, title) = match challenge.lacks {
            Lacks::Scope => (StatusCode::FORBIDDEN, "This call needs another scope"),
            Lacks::Context | Lacks::Freshness => {
                (StatusCode::UNAUTHORIZED, "This call needs a new sign-in")
            }
        };
        let command = challenge.command();
        let detail = format!(
            "The token is good, but {}. Get one that has it, then make the same call with it: {command}",
            challenge.lacks.sentence()
        );
        let mut problem = Self::new(status, challenge.lacks.error(), title, detail);
        problem.0.authenticate = HeaderValue::from_str(&challenge.authenticate()).ok();
        if !challenge.scope.is_empty() {
            problem.put("scope", challenge.scope.as_str());
        }
        if !challenge.acr.is_empty() {
            problem.put("acr_values", challenge.acr.clone());
        }
        if let Some(secs) = challenge.max_age_secs {
            problem.put("max_age", secs);
        }
        problem.put("command", command);
        problem
    }

    /// 403: my own policy says no.
    pub fn policy_denied(reason: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "policy_denied",
            "The policy does not allow it",
            format!("The policy does not allow this call: {reason}."),
        )
    }

    /// 413.
    pub fn body_too_large(limit: usize) -> Self {
        let detail =
            format!("The body of such a call may have {limit} bytes at most at this gate.");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            "The body is too large",
            detail,
        )
    }

    /// 408.
    pub fn body_too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            "The body did not come",
            "The body came too slowly.",
        )
    }

    /// 403: come back with this id.
    pub fn pending(txn: &Txn, told: &Told, requirement: &Requirement) -> Self {
        let mut problem = Self::new(
            StatusCode::FORBIDDEN,
            "approval_pending",
            "Waiting for approval",
            format!(
                "{} Repeat the same call with `Approval-Id: {txn}` (`countersign call` does it by itself), or watch it with `countersign wait {txn}`.",
                waiting(told, requirement)
            ),
        );
        problem.come_back(txn, told);
        problem.asks(requirement);
        problem
    }

    /// 403: people, or time, decided against it.
    pub fn over(over: Over, txn: &Txn, told: &Told) -> Self {
        let reason = told
            .reason
            .as_deref()
            .map(|text| format!(" The reason: {text}"))
            .unwrap_or_default();
        let (code, title, detail) = match over {
            Over::Denied => {
                let by = told.denied_by.as_deref().unwrap_or("an approver");
                (
                    "approval_denied",
                    "Denied",
                    format!("{by} denied this call.{reason}"),
                )
            }
            Over::Expired => (
                "approval_expired",
                "The approval ran out of time",
                format!(
                    "{} of {} approved in time. Make the call again to ask anew.",
                    told.approvals, told.needed
                ),
            ),
            Over::Withdrawn => (
                "approval_withdrawn",
                "The request was withdrawn",
                "Make the call again to ask anew.".to_owned(),
            ),
            Over::Failed => (
                "approval_void",
                "The request can no longer be approved",
                "The server no longer stands by this request. Make the call again to ask anew."
                    .to_owned(),
            ),
        };
        let mut problem = Self::new(StatusCode::FORBIDDEN, code, title, detail);
        problem.told(told);
        problem.put("approval_id", txn.as_str());
        if let Some(reason) = &told.reason {
            problem.put("reason", reason.as_str());
        }
        if let Some(by) = &told.denied_by {
            problem.put("denied_by", by.as_str());
        }
        problem
    }

    /// The enforcement point refused: its step, code and sentence.
    pub fn refused(refusal: &Refusal) -> Self {
        let (status, title) = match refusal.kind {
            Kind::Denied => (StatusCode::FORBIDDEN, "The gate does not release this call"),
            Kind::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The gate cannot release this call now",
            ),
            Kind::Busy => (StatusCode::TOO_MANY_REQUESTS, "Too much at once"),
        };
        let mut sentence = refusal.sentence.clone();
        if !sentence.ends_with('.') {
            sentence.push('.');
        }
        let mut problem = Self::new(status, &refusal.code, title, sentence);
        problem.put("step", refusal.step.name());
        if refusal.kind != Kind::Denied {
            problem.0.retry_after = Some(RETRY_AFTER_SECS);
        }
        problem
    }

    /// 502: the upstream.
    pub fn upstream(detail: &str) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "upstream",
            "The service behind the gate does not answer",
            detail,
        )
    }

    /// 503: the gate ends, or has a fault.
    pub fn unavailable(code: &str, detail: &str) -> Self {
        let mut problem = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            code,
            "The gate cannot do this now",
            detail,
        );
        problem.0.retry_after = Some(RETRY_AFTER_SECS);
        problem
    }

    /// The same, with an id to come back with.
    pub fn come_back_with(mut self, txn: &Txn, told: &Told) -> Self {
        self.come_back(txn, told);
        self
    }

    /// Its stable code.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The answer.
    pub fn into_response(self) -> Response<Full<Bytes>> {
        let Said {
            status,
            code,
            title,
            detail,
            more,
            authenticate,
            approval_id,
            retry_after,
        } = *self.0;
        let mut body = json!({
            "type": format!("https://countersign.dev/problems/{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
            "code": code,
        });
        if let Some(members) = body.as_object_mut() {
            members.extend(more);
        }
        let mut response = Response::new(Full::new(Bytes::from(format!("{body}\n"))));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(value) = authenticate {
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        if let Some(value) = approval_id.and_then(|txn| HeaderValue::from_str(txn.as_str()).ok()) {
            headers.insert(APPROVAL_ID, value);
        }
        if let Some(secs) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }

    fn come_back(&mut self, txn: &Txn, told: &Told) {
        self.told(told);
        self.put("approval_id", txn.as_str());
        self.put("expires_at", told.expires_at.0);
        self.0.approval_id = Some(txn.clone());
        self.0.retry_after = Some(RETRY_AFTER_SECS);
    }

    /// What an approval takes, where that is more than people's yes.
    fn asks(&mut self, requirement: &Requirement) {
        self.put("by", requirement.by.as_str());
        self.put("step_up", requirement.step_up.as_str());
        if let Some(scope) = &requirement.scope {
            self.put("consent_scope", scope.as_str());
        }
        if !requirement.stages.is_empty() {
            let stages: Vec<Value> = requirement
                .stages
                .iter()
                .map(|stage| json!({ "name": stage.name, "approvals": stage.approvals }))
                .collect();
            self.put("stages", stages);
        }
    }

    fn told(&mut self, told: &Told) {
        if !told.words.is_empty() {
            self.put("words", told.words.clone());
            self.put("approvals", told.approvals);
            self.put("needed", told.needed);
            self.put("who_may_vote", told.who_may_vote.as_str());
            self.put("approved_by", told.approved_by.clone());
            if let Some(stage) = &told.stage {
                self.put("stage", stage.as_str());
            }
            if !told.away.is_empty() {
                self.put("away", told.away.iter().map(away).collect::<Vec<_>>());
            }
            if let Some(others) = told.others_can {
                self.put("others_can", others);
            }
        }
    }

    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.more.insert(name.to_owned(), value.into());
    }
}

/// Somebody who could vote and is away, as the server says.
fn away(away: &AwayView) -> Value {
    let AwayView {
        name,
        until,
        stand_in,
        // The caller stands in for nobody.
        names_you: _,
    } = away;
    let mut told = json!({ "name": name, "until": until });
    if let Some(stand_in) = stand_in {
        told["stand_in"] = json!(stand_in);
    }
    told
}

/// What is waited for, in a sentence or two.
fn waiting(told: &Told, requirement: &Requirement) -> String {
    let how = match requirement.step_up {
        StepUp::None => "",
        StepUp::Oidc => ", with a fresh sign-in at their identity provider",
        StepUp::Webauthn => ", with their security key",
    };
    match requirement.by {
        By::Requester => {
            let how = match requirement.step_up {
                StepUp::None | StepUp::Oidc => "with a fresh sign-in at your identity provider",
                StepUp::Webauthn => "with your security key",
            };
            format!("You confirm this call yourself: open it in your own Countersign app, {how}.")
        }
        By::Others => {
            let stage = told
                .stage
                .as_ref()
                .map(|stage| format!(" (stage {stage})"))
                .unwrap_or_default();
            // Their names are the provider's words: they stand in members of their own, not in a sentence.
            let away = match told.away.len() {
                0 => String::new(),
                1 => " One of them is away (see `away`).".to_owned(),
                more => format!(" {more} of them are away (see `away`)."),
            };
            format!(
                "This call needs an approval: {} of {} so far, now by {}{stage}{how}.{away}",
                told.approvals, told.needed, told.who_may_vote
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(change: impl FnOnce(&mut Value)) -> Requirement {
        let mut value = json!({
            "by": "others", "approvals": 2, "step_up": "none", "match": "none", "fresh_claims_secs": 300,
            "reason": "optional", "notify_buttons": "none", "ttl_secs": 600, "grant_secs": 120,
        });
        change(&mut value);
        Requirement::from_value(&value).unwrap()
    }

    fn told() -> Told {
        Told {
            words: vec!["amber".to_owned(), "falcon".to_owned()],
            approvals: 1,
            needed: 2,
            who_may_vote: "security".to_owned(),
            ..Told::default()
        }
    }

    fn elin_is_away() -> AwayView {
        AwayView {
            name: "Elin \u{202e}Varga".to_owned(),
            until: 1_800_000_000,
            stand_in: Some("Jonas Petersen".to_owned()),
            names_you: false,
        }
    }

    #[test]
    fn a_caller_is_told_what_is_waited_for() {
        let plain = requirement(|_| ());
        assert_eq!(
            waiting(&told(), &plain),
            "This call needs an approval: 1 of 2 so far, now by security."
        );
        let staged = requirement(|it| {
            it["stages"] =
                json!([{ "name": "lead", "approvals": 1 }, { "name": "second", "approvals": 1 }]);
            it["step_up"] = json!("oidc");
        });
        let in_second = Told {
            stage: Some("second".to_owned()),
            ..told()
        };
        assert_eq!(
            waiting(&in_second, &staged),
            "This call needs an approval: 1 of 2 so far, now by security (stage second), with a fresh sign-in at their identity provider."
        );
        let with_away = Told {
            away: vec![elin_is_away()],
            ..told()
        };
        assert_eq!(
            waiting(&with_away, &plain),
            "This call needs an approval: 1 of 2 so far, now by security. One of them is away (see `away`)."
        );
        let own = requirement(|it| {
            it["by"] = json!("requester");
            it["approvals"] = json!(1);
            it["step_up"] = json!("oidc");
        });
        let said = waiting(&told(), &own);
        assert!(
            said.starts_with("You confirm this call yourself")
                && said.contains("your own Countersign app"),
            "{said}"
        );
    }

    #[test]
    fn the_problem_names_stages_step_up_and_who_confirms() {
        let staged = requirement(|it| {
            it["stages"] =
                json!([{ "name": "lead", "approvals": 1 }, { "name": "second", "approvals": 1 }]);
            it["step_up"] = json!("oidc");
            it["scope"] = json!("approve:orders.delete");
        });
        let txn = Txn::parse("abc").unwrap();
        let told = Told {
            away: vec![elin_is_away()],
            others_can: Some(3),
            ..told()
        };
        let Problem(said) = Problem::pending(&txn, &told, &staged);
        assert_eq!(said.approval_id, Some(txn));
        for (name, value) in [
            ("by", json!("others")),
            ("step_up", json!("oidc")),
            ("consent_scope", json!("approve:orders.delete")),
            (
                "stages",
                json!([{ "name": "lead", "approvals": 1 }, { "name": "second", "approvals": 1 }]),
            ),
            ("words", json!(["amber", "falcon"])),
            (
                "away",
                json!([{ "name": "Elin \u{202e}Varga", "until": 1_800_000_000, "stand_in": "Jonas Petersen" }]),
            ),
            ("others_can", json!(3)),
        ] {
            assert_eq!(said.more[name], value, "{name}");
        }
    }
}
