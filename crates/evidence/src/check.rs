//! Every check of the verification (protocol, sections 3, 5 and 6), numbered, with the code of its refusal.
//!
//! A check is a thing of its own so that a test can take each one away in turn, and show what then passes
//! (`table`). Only this crate's own unit tests can: nothing else is built with the switch.

use crate::verify::{Refusal, StepId};

macro_rules! checks {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $step:ident, $code:literal;)+) => {
        /// One check. Its documentation says what holds where it passes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) enum Check {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Check {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its number: the protocol's step, and a place in it.
            #[cfg(test)]
            pub(crate) fn number(self) -> &'static str {
                match self { $(Self::$name => $number),+ }
            }

            fn step(self) -> StepId {
                match self { $(Self::$name => StepId::$step),+ }
            }

            /// The refusal's stable name.
            pub(crate) fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }
        }
    };
}

checks! {
    /// The operation is the one that is about to be executed.
    Rebuilt = "1.01", Operation, "operation_differs";

    /// I am the gate that this trust is for.
    Me = "2.01", Sameness, "pep_differs";
    /// The ask's signature verifies.
    AskSignature = "2.02", Sameness, "ask_signature";
    /// The request's signature verifies.
    RequestSignature = "2.03", Sameness, "request_signature";
    /// The grant's signature verifies.
    GrantSignature = "2.04", Sameness, "grant_signature";
    /// The request is from my server.
    RequestServer = "2.05", Sameness, "server_differs";
    /// The ask names the gate by whose key it is signed.
    AskGate = "2.06", Sameness, "pep_differs";
    /// The ask is for the server of the request.
    AskServer = "2.07", Sameness, "server_differs";
    /// Ask and request name the same gate.
    RequestGate = "2.08", Sameness, "pep_differs";
    /// Ask and operation name the same gate.
    OperationGate = "2.09", Sameness, "pep_differs";
    /// The ask is about this operation.
    AskOperation = "2.10", Sameness, "operation_digest_differs";
    /// The request is about this operation.
    RequestOperation = "2.11", Sameness, "operation_digest_differs";
    /// The request is about this ask.
    RequestAsk = "2.12", Sameness, "ask_digest_differs";
    /// The request's requester is the operation's subject.
    Requester = "2.13", Sameness, "requester_differs";
    /// Ask and request begin before they end.
    AskTimes = "2.14", Sameness, "times_differ";
    /// The request was made while the ask was good.
    RequestInAsk = "2.15", Sameness, "ask_expired";
    /// The vote is for this server.
    VoteServer = "2.16", Sameness, "server_differs";
    /// The binding is for this server.
    BindingServer = "2.17", Sameness, "server_differs";
    /// The vote is for this gate.
    VoteGate = "2.18", Sameness, "pep_differs";
    /// The vote is on this request.
    VoteTxn = "2.19", Sameness, "txn_differs";
    /// The vote is on this operation.
    VoteOperation = "2.20", Sameness, "operation_digest_differs";
    /// The vote is on this request's very JWS, so on its requirement.
    VoteRequest = "2.21", Sameness, "request_digest_differs";
    /// The vote is under the request's policy.
    VotePolicy = "2.22", Sameness, "policy_digest_differs";
    /// The vote is by the key of its binding.
    VoteKey = "2.23", Sameness, "vote_key_differs";
    /// The vote names the binding that comes with it.
    VoteBinding = "2.24", Sameness, "binding_differs";
    /// The grant is from this server.
    GrantServer = "2.25", Sameness, "server_differs";
    /// The grant is for this gate.
    GrantGate = "2.26", Sameness, "pep_differs";
    /// The grant is for this request.
    GrantTxn = "2.27", Sameness, "txn_differs";
    /// The grant is for this operation.
    GrantOperation = "2.28", Sameness, "operation_digest_differs";
    /// The grant is for this request's very JWS.
    GrantRequest = "2.29", Sameness, "request_digest_differs";
    /// The grant is under the request's policy.
    GrantPolicy = "2.30", Sameness, "policy_digest_differs";
    /// The grant's votes are these votes.
    GrantVotes = "2.31", Sameness, "grant_votes_differ";

    /// The request demands what the gate asked for.
    Ask = "3.01", Requirement, "requirement_lowered";
    /// My policy does not deny it.
    PolicyDenies = "3.02", Requirement, "policy_denies";
    /// My policy wants it approved.
    PolicyAllows = "3.03", Requirement, "policy_mismatch";
    /// The request demands what my policy demands.
    Policy = "3.04", Requirement, "requirement_lowered";

    /// The vote's signature verifies.
    VoteSignature = "4.01", Votes, "vote_signature";
    /// The vote approves.
    Approves = "4.02", Votes, "vote_not_approve";
    /// The vote begins before it ends.
    VoteTimes = "4.03", Votes, "vote_times";
    /// The vote ends no later than its request.
    VoteWithinRequest = "4.04", Votes, "vote_outlives_request";
    /// The vote is not older than T0.
    VoteAfterAsking = "4.05", Votes, "vote_too_early";
    /// The vote is not older than the request.
    VoteAfterRequest = "4.06", Votes, "vote_too_early";
    /// The vote is not from the future.
    VoteNotFuture = "4.07", Votes, "vote_in_future";
    /// The vote was cast while people could vote.
    VoteNotLate = "4.08", Votes, "vote_too_late";
    /// The vote has a reason where it needs one.
    Reason = "4.09", Votes, "reason_missing";
    /// Matching words that are there are right.
    WordsRight = "4.10", Votes, "match_wrong";
    /// Matching words are there where they are needed.
    WordsThere = "4.11", Votes, "match_missing";
    /// The vote names a stage of the requirement, where there are stages, and none where there are none.
    StageNamed = "4.12", Votes, "stage_wrong";
    /// What a vote is built on are votes of the stage before.
    PriorKnown = "4.13", Votes, "prior_unknown";
    /// What a vote is built on is a complete stage.
    PriorComplete = "4.14", Votes, "prior_incomplete";
    /// The grant begins before it ends.
    GrantTimes = "4.15", Votes, "grant_times";
    /// The grant is not from the future.
    GrantNotFuture = "4.16", Votes, "grant_in_future";
    /// The grant has not expired.
    GrantNotExpired = "4.17", Votes, "grant_expired";
    /// The newest vote is young enough.
    GrantWindow = "4.18", Votes, "grant_window_over";
    /// It was asked for recently enough.
    ApprovalInTime = "4.19", Votes, "approval_too_late";
    /// A vote that is cast now answers my challenge.
    Challenge = "4.20", Votes, "challenge_differs";
    /// A vote that is cast now is on an open request.
    RequestOpen = "4.21", Votes, "request_expired";
    /// A vote that is cast now has not expired.
    VoteNotExpired = "4.22", Votes, "vote_expired";

    /// A provider's token is of an algorithm that is configured for it.
    TokenAlg = "5.01", Bindings, "token_alg";
    /// A provider's token is signed by its key.
    TokenSignature = "5.02", Bindings, "binding_signature";
    /// An ID token is no token of another type.
    TokenType = "5.03", Bindings, "token_typ";
    /// An ID token has no claim that only other tokens have.
    TokenForeign = "5.04", Bindings, "token_foreign_claim";
    /// A token is from the provider as whose it is taken.
    TokenIssuer = "5.05", Bindings, "token_issuer";
    /// An ID token is for our client alone.
    TokenAudience = "5.06", Bindings, "binding_audience";
    /// An ID token was asked for by our client.
    TokenParty = "5.07", Bindings, "binding_audience";
    /// A token is not from the future.
    TokenNotFuture = "5.08", Bindings, "token_future";
    /// A token ends after it begins.
    TokenTimes = "5.09", Bindings, "token_expired";
    /// The provider's token commits to the key, or to the vote.
    TokenNonce = "5.10", Bindings, "binding_nonce";
    /// The provider says when the person signed in.
    AuthTimeThere = "5.11", Bindings, "auth_time_missing";
    /// The person signed in for this binding.
    AuthTimeFresh = "5.12", Bindings, "auth_time_too_old";
    /// They signed in before the token was issued.
    AuthTimeNotFuture = "5.13", Bindings, "auth_time_in_future";
    /// The vote is in the name of whom the provider names.
    Voter = "5.14", Bindings, "voter_differs";
    /// The vote was cast before the binding's session ended.
    SessionLasts = "5.15", Bindings, "binding_session_over";
    /// The vote was cast after the binding was made.
    VoteAfterBinding = "5.16", Bindings, "vote_before_binding";
    /// A token that is bound to a key says so by its type and by its `cnf`, and any other by neither.
    TokenConfirmation = "5.17", Bindings, "token_cnf";
    /// Where the provider's sign-ins have to be bound to the device key, this one is.
    TokenBound = "5.18", Bindings, "binding_not_bound";
    /// A token that is bound to a key is bound to the device's.
    TokenKey = "5.19", Bindings, "binding_other_key";

    /// What the requirement asks for can be met at all.
    StepUpSense = "6.01", StepUp, "step_up_contradictory";
    /// There is a step-up.
    StepUpThere = "6.02", StepUp, "step_up_missing";
    /// It is of the kind that is asked for.
    StepUpMeans = "6.03", StepUp, "step_up_other_means";
    /// The provider is configured to step up.
    StepUpOffered = "6.04", StepUp, "step_up_not_offered";
    /// It is about the voter's account.
    SignInAccount = "6.05", StepUp, "step_up_other_account";
    /// It is about the voter's person.
    SignInPerson = "6.06", StepUp, "step_up_other_person";
    /// It says when the person signed in.
    SignInTimeThere = "6.07", StepUp, "step_up_auth_time_missing";
    /// The person did not sign in before the vote.
    SignInAfterVote = "6.08", StepUp, "step_up_before_vote";
    /// The person signed in before the vote ended.
    SignInInTime = "6.09", StepUp, "step_up_too_late";
    /// The person did not sign in after the token was issued.
    SignInNotFuture = "6.10", StepUp, "step_up_auth_time_in_future";
    /// It states an authentication context.
    AcrThere = "6.11", StepUp, "step_up_acr_missing";
    /// The provider may assert that context.
    AcrMayBeAsserted = "6.12", StepUp, "step_up_acr_not_this_provider";
    /// It is the one that is asked for.
    AcrRight = "6.13", StepUp, "step_up_acr_differs";
    /// There is an access token for the scope.
    ConsentThere = "6.14", StepUp, "consent_missing";
    /// It is an access token (RFC 9068).
    ConsentType = "6.15", StepUp, "consent_typ";
    /// It is about the voter.
    ConsentSubject = "6.16", StepUp, "consent_subject";
    /// It was given to our client.
    ConsentClient = "6.17", StepUp, "consent_client";
    /// It is for the step-up resource alone.
    ConsentAudience = "6.18", StepUp, "consent_audience";
    /// It was not issued before the vote.
    ConsentAfterVote = "6.19", StepUp, "consent_before_vote";
    /// It is not from the future.
    ConsentNotFuture = "6.20", StepUp, "consent_in_future";
    /// It ends after it begins.
    ConsentTimes = "6.21", StepUp, "consent_times";
    /// The scope is among its scopes.
    ConsentScope = "6.22", StepUp, "consent_scope";
    /// An `at_hash` that is there is this access token's.
    ConsentHash = "6.23", StepUp, "consent_at_hash";
    /// The provider ties it to the vote.
    ConsentTied = "6.24", StepUp, "consent_not_tied";
    /// The key that ties it serves one vote.
    ConsentOnce = "6.25", StepUp, "consent_reused";
    /// The assertion is by an authenticator of the binding statement.
    AuthenticatorKnown = "6.26", StepUp, "step_up_authenticator_unknown";
    /// It is an assertion, not a registration.
    AssertionType = "6.27", StepUp, "step_up_assertion_type";
    /// Its challenge signs this very vote.
    AssertionChallenge = "6.28", StepUp, "step_up_challenge";
    /// It was made by our own software, for this server.
    AssertionOrigin = "6.29", StepUp, "step_up_origin";
    /// It was not made inside another page.
    AssertionCrossOrigin = "6.30", StepUp, "step_up_cross_origin";
    /// It is for the credential's relying party.
    AssertionRelyingParty = "6.31", StepUp, "step_up_rp_id";
    /// A person touched the authenticator.
    AssertionPresence = "6.32", StepUp, "step_up_user_absent";
    /// The authenticator verified the person.
    AssertionVerified = "6.33", StepUp, "step_up_user_unverified";
    /// The authenticator signed it.
    AssertionSignature = "6.34", StepUp, "step_up_assertion_signature";
    /// There is none where nobody asked for it.
    StepUpAsked = "6.35", StepUp, "step_up_unasked";
    /// The consent was given before the vote ended.
    ConsentInTime = "6.36", StepUp, "consent_too_late";

    /// The voter's provider may say who approves.
    RoleApprover = "7.01", People, "provider_not_for_approvers";
    /// A newer ID token is about the same account.
    ClaimsSubject = "7.02", People, "claims_token_subject";
    /// It is newer.
    ClaimsNewer = "7.03", People, "claims_token_older";
    /// The claims were fresh enough when voting.
    ClaimsFresh = "7.04", People, "claims_too_old";
    /// The claims are fresh enough at release.
    ClaimsFreshNow = "7.05", People, "claims_too_old_now";
    /// The voter did not ask for it.
    NotRequester = "7.06", People, "requester_votes";
    /// Whether the voter asked for it can be told.
    RequesterKnown = "7.07", People, "person_unknown";
    /// The requester confirms in person.
    IsRequester = "7.08", People, "not_the_requester";
    /// My policy lets this person vote.
    MayVote = "7.09", People, "may_not_vote";
    /// One person's votes are counted once.
    Once = "7.10", People, "person_votes_twice";
    /// Whether two voters are one person can be told.
    VotersKnown = "7.11", People, "person_unknown";
    /// Enough people approved.
    Quorum = "7.12", People, "quorum_missing";
    /// Enough people approved in each stage.
    StageQuorum = "7.13", People, "stage_quorum_missing";
}

impl Check {
    /// Refuses unless it holds.
    pub(crate) fn that(self, holds: bool, sentence: &str) -> Result<(), Refusal> {
        self.that_or(holds, || sentence.to_owned())
    }

    /// Refuses unless it holds, with a sentence that is made up only then.
    pub(crate) fn that_or(
        self,
        holds: bool,
        sentence: impl FnOnce() -> String,
    ) -> Result<(), Refusal> {
        if self.stands(holds) {
            Ok(())
        } else {
            Err(Refusal::new(self.step(), self.code(), sentence()))
        }
    }

    /// Whether it holds. (In the table test, or is taken away.)
    #[cfg(not(test))]
    pub(crate) fn stands(self, holds: bool) -> bool {
        holds
    }

    #[cfg(test)]
    pub(crate) fn stands(self, holds: bool) -> bool {
        holds || table::is_off(self)
    }
}

#[cfg(test)]
mod table;
