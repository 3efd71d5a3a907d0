//! What the four parts of an operation must be, read where they stand: a gate reads one for each call, and copies
//! nothing of it but the few names that the operation answers with.

use serde_json::{Map, Value};

use crate::{Issuer, MemberError, Nonce, PepId, Subject, json};

/// What is read from an operation's value.
#[derive(Clone)]
pub(super) struct Read {
    pub(super) subject: Subject,
    pub(super) subject_type: String,
    pub(super) act_chain: Vec<Subject>,
    pub(super) action: String,
    pub(super) resource_type: String,
    pub(super) resource_id: String,
    pub(super) pep: PepId,
    pub(super) nonce: Nonce,
    pub(super) justification: Option<String>,
    pub(super) ticket: Option<String>,
}

/// Reads an operation, or says which part is not as it must be.
pub(super) fn read(value: &Value) -> Result<Read, (&'static str, MemberError)> {
    let whole = |error| ("operation", error);
    let part = |part| move |error| (part, error);
    let mut members = Parts::of(value).map_err(whole)?;
    let subject = members.value("subject").map_err(whole)?;
    let action = members.value("action").map_err(whole)?;
    let resource = members.value("resource").map_err(whole)?;
    let context = members.value("context").map_err(whole)?;
    members.finish().map_err(whole)?;

    let (subject_type, subject, act_chain) = read_subject(subject).map_err(part("subject"))?;
    let action = read_action(action).map_err(part("action"))?;
    let (resource_type, resource_id) = read_resource(resource).map_err(part("resource"))?;
    let (pep, nonce, words) = read_context(context).map_err(part("context"))?;
    Ok(Read {
        subject,
        subject_type,
        act_chain,
        action,
        resource_type,
        resource_id,
        pep,
        nonce,
        justification: words.justification,
        ticket: words.ticket,
    })
}

/// The members of an object that are still to be read. As [`crate::Members`], but nothing is taken out: it counts
/// instead, so each member is asked for once.
struct Parts<'a> {
    object: &'a Map<String, Value>,
    asked: Vec<&'static str>,
}

impl<'a> Parts<'a> {
    fn of(value: &'a Value) -> Result<Self, MemberError> {
        Ok(Self {
            object: value.as_object().ok_or(MemberError::NotObject)?,
            asked: Vec::with_capacity(4),
        })
    }

    fn opt_value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.asked.push(name);
        self.object.get(name)
    }

    fn value(&mut self, name: &'static str) -> Result<&'a Value, MemberError> {
        self.opt_value(name).ok_or(MemberError::Missing(name))
    }

    fn str(&mut self, name: &'static str) -> Result<&'a str, MemberError> {
        let text = self.value(name)?.as_str();
        text.ok_or(MemberError::wrong(name, "a string"))
    }

    fn bounded(&mut self, name: &'static str, max_bytes: usize) -> Result<String, MemberError> {
        let text = self.str(name)?;
        if text.is_empty() || text.len() > max_bytes {
            return Err(MemberError::wrong(name, "a string of the allowed length"));
        }
        Ok(text.to_owned())
    }

    fn opt_bounded(
        &mut self,
        name: &'static str,
        max_bytes: usize,
    ) -> Result<Option<String>, MemberError> {
        if self.object.contains_key(name) {
            self.bounded(name, max_bytes).map(Some)
        } else {
            Ok(None)
        }
    }

    fn name(&mut self, name: &'static str) -> Result<String, MemberError> {
        let text = self.str(name)?;
        if json::fits_name(text) {
            Ok(text.to_owned())
        } else {
            Err(MemberError::wrong(name, "a name"))
        }
    }

    fn opt_object(&mut self, name: &'static str) -> Result<Option<&'a Value>, MemberError> {
        match self.opt_value(name) {
            Some(value) if !value.is_object() => Err(MemberError::wrong(name, "an object")),
            other => Ok(other),
        }
    }

    /// Refuses whatever was not asked for.
    fn finish(self) -> Result<(), MemberError> {
        let stray = |name: &&String| !self.asked.contains(&name.as_str());
        match self.object.keys().find(stray) {
            None => Ok(()),
            Some(name) => Err(MemberError::Unknown(name.clone())),
        }
    }
}

fn read_subject(value: &Value) -> Result<(String, Subject, Vec<Subject>), MemberError> {
    let mut members = Parts::of(value)?;
    let kind = members.name("type")?;
    let id = members.str("id")?;
    let subject = Subject::parse(id).map_err(|_| MemberError::wrong("id", "`<iss>|<sub>`"))?;
    let mut act_chain = Vec::new();
    if let Some(properties) = members.opt_object("properties")? {
        let mut properties = Parts::of(properties)?;
        for known in ["claims", "device", "location"] {
            properties.opt_object(known)?;
        }
        let mut act = properties.opt_object("act")?;
        while let Some(actor) = act {
            let mut actor = Parts::of(actor)?;
            let iss = Issuer::parse(actor.str("iss")?)
                .map_err(|_| MemberError::wrong("iss", "an issuer"))?;
            let sub = actor.str("sub")?;
            act = actor.opt_object("act")?;
            actor.finish()?;
            act_chain
                .push(Subject::new(iss, sub).map_err(|_| MemberError::wrong("sub", "a subject"))?);
        }
        properties.finish()?;
    }
    members.finish()?;
    Ok((kind, subject, act_chain))
}

fn read_action(value: &Value) -> Result<String, MemberError> {
    let mut members = Parts::of(value)?;
    let action = members.name("name")?;
    members.opt_object("properties")?;
    members.finish()?;
    Ok(action)
}

fn read_resource(value: &Value) -> Result<(String, String), MemberError> {
    let mut members = Parts::of(value)?;
    let kind = members.name("type")?;
    let id = members.bounded("id", 1024)?;
    members.opt_object("properties")?;
    members.finish()?;
    Ok((kind, id))
}

/// What the requester says.
struct Words {
    justification: Option<String>,
    ticket: Option<String>,
}

fn read_context(value: &Value) -> Result<(PepId, Nonce, Words), MemberError> {
    let mut members = Parts::of(value)?;
    let pep =
        PepId::parse(members.str("pep")?).map_err(|_| MemberError::wrong("pep", "a gate id"))?;
    let nonce = Nonce::parse(members.str("nonce")?)
        .map_err(|_| MemberError::wrong("nonce", "128 bits in base64url"))?;
    let words = Words {
        justification: members.opt_bounded("justification", 4096)?,
        ticket: members.opt_bounded("ticket", 256)?,
    };
    members.finish()?;
    Ok((pep, nonce, words))
}
