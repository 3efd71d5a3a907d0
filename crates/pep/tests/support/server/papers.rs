//! The evidence that the server shows: requests, votes and grants, real or forged as the lie wants it.

use super::*;

/// `sub`, groups, and the seed of their device's key.
type Person<'a> = (&'a str, &'a [&'a str], u8);

/// The thumbprint of the key that a vote names for its consent.
fn one_time_key(device: u8) -> Digest {
    let key = SecretKey::generate([device.wrapping_add(50); 32]);
    Digest::parse(&key.public().thumbprint()).unwrap()
}

impl Server {
    pub(super) fn evidence(&self, txn: &str, opened: &Opened, lie: Lie) -> Evidence {
        let now = self.clock.now();
        let mut operation = opened.operation.clone();
        let mut ask_jws = opened.ask_jws.clone();
        let mut requirement = opened.requirement.clone();
        if matches!(lie, Lie::OtherOperation) {
            let mut value = operation.value().clone();
            value["resource"]["id"] = json!("1");
            operation = Operation::build(value).unwrap();
            let (_, mut ask) = Ask::unverified(&ask_jws).unwrap();
            ask.operation_digest = operation.digest();
            ask_jws = ask.sign(&self.pep_key);
        }
        if lie == Lie::LoweredRequirement {
            requirement.approvals = 1;
        }
        let txn = Txn::parse(if lie == Lie::OtherTxn { "another" } else { txn }).unwrap();
        let pep = PepId::parse(if lie == Lie::OtherGate {
            "another-gate"
        } else {
            PEP
        })
        .unwrap();
        let digest = match lie {
            Lie::SwappedOperation => Digest::of(b"another operation"),
            _ => operation.digest(),
        };
        let request = Request {
            iss: self.id.clone(),
            jti: "jti".into(),
            iat: now,
            exp: now + i64::from(requirement.ttl_secs),
            txn: txn.clone(),
            operation_digest: digest,
            ask_digest: jws_digest(&ask_jws),
            pep: pep.clone(),
            sub_id: operation.subject().clone(),
            requirement,
            policy_digest: self.policy.digest(),
        };
        let request_jws = request.sign(&self.key);
        let people: &[Person<'_>] = match (lie, request.requirement.by) {
            (Lie::SomebodyElseConfirms, By::Requester) => &[("elin", &["dba"], 1)],
            (_, By::Requester) => &[("mara", &["orders-dev"], 3)],
            (Lie::OneVote | Lie::LoweredRequirement, _) => &[("elin", &["dba"], 1)],
            (Lie::OnePersonTwice, _) => &[("elin", &["dba"], 1), ("elin", &["dba"], 2)],
            (Lie::Requester, _) => &[("elin", &["dba"], 1), ("mara", &["dba"], 3)],
            (Lie::Outsiders, _) => &[("elin", &["dba"], 1), ("otto", &[], 4)],
            (Lie::OneGroupInBothStages, _) => &[("elin", &["dba"], 1), ("jonas", &["dba"], 2)],
            (_, By::Others) if !request.requirement.stages.is_empty() => {
                &[("elin", &["dba"], 1), ("jonas", &["security"], 2)]
            }
            (_, By::Others) => &[("elin", &["dba"], 1), ("jonas", &["dba"], 2)],
        };
        let mut votes: Vec<EvidenceVote> = Vec::new();
        for (index, person) in people.iter().enumerate() {
            // One lie is enough: the first vote is always honest.
            let lie = if index == 0 && people.len() > 1 {
                Lie::None
            } else {
                lie
            };
            let before = votes.iter().map(|vote| jws_digest(&vote.jws)).collect();
            votes.push(self.vote(*person, &request, &request_jws, lie, (index, before)));
        }
        let grant = Grant {
            iss: self.id.clone(),
            aud: pep,
            jti: "grant".into(),
            iat: now,
            nbf: now,
            exp: now + i64::from(request.requirement.grant_secs),
            txn,
            operation_digest: digest,
            request_jws_digest: jws_digest(&request_jws),
            votes: votes
                .iter()
                .map(|vote| {
                    let (_, read) = Vote::unverified(&vote.jws).unwrap();
                    GrantVote {
                        digest: jws_digest(&vote.jws),
                        subject: read.sub_id,
                        binding_id: read.binding_id,
                    }
                })
                .collect(),
            policy_digest: self.policy.digest(),
        };
        let grant_key = if lie == Lie::OwnServerKey {
            SecretKey::generate([77; 32])
        } else {
            self.key.clone()
        };
        let evidence = Evidence {
            operation_b64: b64u(operation.bytes()),
            ask_jws,
            request_jws,
            grant: grant.sign(&grant_key),
            votes,
        };
        if lie == Lie::NoTokens {
            evidence.without_tokens()
        } else {
            evidence
        }
    }

    fn vote(
        &self,
        (sub, groups, device): Person<'_>,
        request: &Request,
        request_jws: &str,
        lie: Lie,
        (index, before): (usize, Vec<Digest>),
    ) -> EvidenceVote {
        let stages = &request.requirement.stages;
        let stage = match lie {
            Lie::StageOutOfTurn => stages.first(),
            _ => stages.get(index),
        };
        let now = self.clock.now();
        let key = SecretKey::generate([device; 32]);
        let statement = Statement {
            aud: match lie {
                Lie::OtherServersBinding => ServerId::parse("https://other.example").unwrap(),
                _ => self.id.clone(),
            },
            authenticators: Vec::new(),
            key: key.public(),
            rz: b64u(&[device; 32]),
            session_jkt: Digest::parse(
                &SecretKey::generate([device + 100; 32])
                    .public()
                    .thumbprint(),
            )
            .unwrap(),
        };
        let own = SecretKey::generate([99; 32]);
        let id_token = match lie {
            Lie::OwnOpKey => self.op.id_token_by(&own, sub, groups, &statement.nonce()),
            _ => self.op.id_token(sub, groups, &statement.nonce()),
        };
        let iat = if lie == Lie::OldVotes { now - 400 } else { now };
        let vote = Vote {
            key_thumbprint: Digest::parse(&key.public().thumbprint()).unwrap(),
            sub_id: self.op.subject(sub),
            server: self.id.clone(),
            pep: request.pep.clone(),
            jti: format!("vote-{sub}-{device}"),
            iat,
            exp: request.exp,
            txn: request.txn.clone(),
            vote: if lie == Lie::DenyAsApprove {
                Choice::Deny
            } else {
                Choice::Approve
            },
            operation_digest: request.operation_digest,
            request_jws_digest: jws_digest(request_jws),
            nonce: "challenge".into(),
            binding_id: statement.id(),
            policy_digest: self.policy.digest(),
            stage: stage.map(|stage| stage.name.clone()),
            prior: match (lie, stages.is_empty()) {
                (Lie::StageWithoutTheOneBefore, _) | (_, true) => Vec::new(),
                (_, false) => before,
            },
            consent_jkt: request
                .requirement
                .scope
                .as_ref()
                .map(|_| one_time_key(device)),
            display: DisplayDigest {
                renderer: "test".into(),
                sha256: Digest::of(b"card"),
            },
            reason: None,
            match_words: None,
            supersedes: None,
        };
        let honest = vote.sign(&key);
        let jws = match lie {
            Lie::OtherKeysVote => vote.sign(&own),
            Lie::ForgedVote => {
                let (header, _) = honest.split_once('.').unwrap();
                let forged = vote.sign(&own);
                format!("{header}.{}", forged.split_once('.').unwrap().1)
            }
            _ => honest,
        };
        let claims_token = (lie == Lie::LeftTheGroup)
            .then(|| self.op.id_token(sub, &["orders-dev"], &statement.nonce()));
        EvidenceVote {
            step_up: self.step_up(sub, device, request, &jws, lie),
            jws,
            cic: b64u(&statement.to_bytes()),
            id_token: Some(id_token),
            claims_token,
        }
    }

    /// What the provider signs for one vote, where it is asked for.
    fn step_up(
        &self,
        sub: &str,
        device: u8,
        request: &Request,
        jws: &str,
        lie: Lie,
    ) -> Option<StepUpEvidence> {
        let Requirement {
            step_up,
            acr,
            scope,
            ..
        } = &request.requirement;
        if *step_up != StepUp::Oidc || lie == Lie::NoStepUp {
            return None;
        }
        let now = self.clock.now().0;
        let nonce = match lie {
            Lie::StepUpOfAnotherVote => step_up_nonce("another vote"),
            _ => step_up_nonce(jws),
        };
        let sub = match lie {
            Lie::StepUpBySomebodyElse => "otto",
            _ => sub,
        };
        let id_token = self.op.sign("JWT", json!({
            "iss": self.op.issuer.as_str(), "sub": sub, "aud": CLIENT, "nonce": nonce, "iat": now, "exp": now + 60,
            "auth_time": if lie == Lie::StepUpBeforeTheVote { now - 60 } else { now },
            "acr": match lie {
                Lie::StepUpTooWeak => Some("urn:password"),
                _ => acr.as_deref(),
            },
        }));
        let access_token = scope.as_ref().filter(|_| lie != Lie::NoConsent).map(|scope| {
            self.op.sign("at+jwt", json!({
                "iss": self.op.issuer.as_str(), "sub": sub, "client_id": CLIENT, "iat": now, "exp": now + 60,
                "jti": "consent", "aud": step_up_resource(&self.id),
                "scope": match lie {
                    Lie::ConsentToAnotherScope => "openid approve:orders.read",
                    _ => scope,
                },
                "cnf": { "jkt": match lie {
                    Lie::ConsentForAnotherVote => one_time_key(200),
                    _ => one_time_key(device),
                }.to_string() },
            }))
        });
        Some(StepUpEvidence::Oidc {
            id_token,
            access_token,
        })
    }
}
