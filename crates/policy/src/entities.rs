//! An operation and a voter as Cedar sees them.
//!
//! Total: every operation has its entities. A claim of another type than the schema's is as absent; what the
//! schema does not name is a tag where it is a string, and is left out where it is not.

use std::str::FromStr;

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use countersign_model::{Operation, Subject, Voter};
use serde_json::{Map, Value};

/// The action under which Cedar decides who may vote.
pub(crate) const VOTE: &str = "vote";

/// The names of the schema's types: read once, since reading a name costs as much as a decision.
pub(crate) struct Vocabulary {
    user: EntityTypeName,
    resource: EntityTypeName,
    operation: EntityTypeName,
    action: EntityTypeName,
}

impl Vocabulary {
    pub(crate) fn new() -> Result<Self, String> {
        let name = |text| EntityTypeName::from_str(text).map_err(|error| error.to_string());
        Ok(Self {
            user: name("User")?,
            resource: name("Resource")?,
            operation: name("Operation")?,
            action: name("Action")?,
        })
    }
}

/// Who asks, as Cedar sees them. Made once for a token, and good for all that is asked with it.
#[derive(Debug, Clone)]
pub struct Requester(Entity);

impl PartialEq for Requester {
    /// Cedar's own equality looks at the id alone.
    fn eq(&self, other: &Self) -> bool {
        self.0.deep_eq(&other.0)
    }
}

impl Requester {
    /// By what stands in their operations: the subject, its type, its claims, and who acts for it. None where Cedar
    /// cannot be asked about them.
    pub fn new(
        subject: &Subject,
        kind: &str,
        claims: &Map<String, Value>,
        act: &[Subject],
    ) -> Option<Self> {
        let vocabulary = Vocabulary::new().ok()?;
        requester(&vocabulary, subject, kind, Some(claims), act).ok()
    }
}

/// What a policy sees of an operation, beside who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<'a> {
    /// `action.name`.
    pub action: &'a str,
    /// `resource.type`.
    pub resource_type: &'a str,
    /// `resource.id`.
    pub resource_id: &'a str,
    /// `resource.properties.service`.
    pub service: Option<&'a str>,
    /// The other properties of the resource that are strings.
    pub properties: Vec<(&'a str, &'a str)>,
    /// The gate.
    pub pep: &'a str,
    /// `action.properties.kind`.
    pub kind: Option<&'a str>,
    /// `action.properties.method`.
    pub method: Option<&'a str>,
    /// `action.properties.authority`.
    pub authority: Option<&'a str>,
    /// `action.properties.path`.
    pub path: Option<&'a str>,
    /// `action.properties.query`.
    pub query: Option<&'a str>,
    /// The size of the body, in bytes.
    pub body_bytes: Option<i64>,
    /// Why, in the requester's own words.
    pub justification: Option<&'a str>,
    /// A ticket that the requester names.
    pub ticket: Option<&'a str>,
}

impl<'a> Seen<'a> {
    /// Of this operation.
    pub fn of(operation: &'a Operation) -> Self {
        let call = operation.action_properties();
        let said = |name| call.get(name).and_then(Value::as_str);
        let properties = operation.resource_properties().as_object();
        let properties = properties.into_iter().flatten();
        Self {
            action: operation.action(),
            resource_type: operation.resource_type(),
            resource_id: operation.resource_id(),
            service: operation
                .resource_properties()
                .get("service")
                .and_then(Value::as_str),
            properties: properties
                .filter(|(name, _)| *name != "service")
                .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
                .collect(),
            pep: operation.pep().as_str(),
            kind: said("kind"),
            method: said("method"),
            authority: said("authority"),
            path: said("path"),
            query: said("query"),
            body_bytes: call.get("body").and_then(|body| body.get("size")?.as_i64()),
            justification: operation.justification(),
            ticket: operation.ticket(),
        }
    }
}

/// Each name once.
type Attributes = Vec<(String, RestrictedExpression)>;

/// One question to Cedar: a request and the entities it speaks of.
pub(crate) struct Question {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

/// What could not be put to Cedar, in a sentence. No operation is known to bring this about.
pub(crate) struct Unaskable(pub(crate) String);

/// May the requester of this operation do it?
pub(crate) fn may_do(
    operation: &Operation,
    vocabulary: &Vocabulary,
) -> Result<Question, Unaskable> {
    let requester = requester(
        vocabulary,
        operation.subject(),
        operation.subject_type(),
        operation.claims().as_object(),
        operation.act_chain(),
    )?;
    may(requester, &Seen::of(operation), vocabulary)
}

/// May this requester do this?
pub(crate) fn may(
    requester: Requester,
    seen: &Seen<'_>,
    vocabulary: &Vocabulary,
) -> Result<Question, Unaskable> {
    let mut attributes = Attributes::with_capacity(3);
    attributes.push(text("type", seen.resource_type));
    attributes.push(text("id", seen.resource_id));
    attributes.extend(seen.service.map(|service| text("service", service)));
    let resource = entity(uid(&vocabulary.resource, "it"), attributes, tags(seen))?;
    ask(requester.0, seen.action, resource, seen, vocabulary)
}

/// May this person vote on it?
pub(crate) fn may_vote(
    voter: &Voter,
    operation: &Operation,
    vocabulary: &Vocabulary,
) -> Result<Question, Unaskable> {
    // A group speaks only for the provider that signed it.
    let own = format!("{}#", voter.subject.iss.as_str());
    let groups = voter.groups.iter().filter(|group| group.starts_with(&own));
    let principal = user(
        vocabulary,
        &voter.subject,
        "user",
        set(groups.cloned()),
        set([]),
        voter.claims.as_object(),
    )?;
    vote(principal, operation, vocabulary)
}

/// May anybody at all vote on it? For policies in which the voter has been assumed away.
pub(crate) fn may_anybody_vote(
    operation: &Operation,
    vocabulary: &Vocabulary,
) -> Result<Question, Unaskable> {
    let principal = user(
        vocabulary,
        operation.subject(),
        "user",
        set([]),
        set([]),
        None,
    )?;
    vote(principal, operation, vocabulary)
}

fn vote(
    principal: Entity,
    operation: &Operation,
    vocabulary: &Vocabulary,
) -> Result<Question, Unaskable> {
    let seen = Seen::of(operation);
    let mut attributes = Attributes::from(vec![
        text("action", seen.action),
        text("resource_type", seen.resource_type),
        text("resource_id", seen.resource_id),
        text("requester_iss", operation.subject().iss.as_str()),
        text("requester_sub", &operation.subject().sub),
    ]);
    attributes.extend(seen.service.map(|service| text("service", service)));
    let voted_on = entity(uid(&vocabulary.operation, "it"), attributes, tags(&seen))?;
    ask(principal, VOTE, voted_on, &seen, vocabulary)
}

fn ask(
    principal: Entity,
    action: &str,
    resource: Entity,
    seen: &Seen<'_>,
    vocabulary: &Vocabulary,
) -> Result<Question, Unaskable> {
    let odd = |error: &dyn std::fmt::Display| Unaskable(error.to_string());
    let context = Context::from_pairs(call(seen)).map_err(|error| odd(&error))?;
    let action = uid(&vocabulary.action, action);
    // Without the schema: what is put together here is as it says, which the tests hold.
    let request = Request::new(principal.uid(), action, resource.uid(), context, None)
        .map_err(|error| odd(&error))?;
    let entities =
        Entities::from_entities([principal, resource], None).map_err(|error| odd(&error))?;
    Ok(Question { request, entities })
}

fn requester(
    vocabulary: &Vocabulary,
    subject: &Subject,
    kind: &str,
    claims: Option<&Map<String, Value>>,
    act: &[Subject],
) -> Result<Requester, Unaskable> {
    let iss = subject.iss.as_str();
    let groups = claims.and_then(|claims| claims.get("groups"));
    let groups = strings(groups).map(|name| format!("{iss}#{name}"));
    let act = act.iter().map(Subject::to_string);
    user(vocabulary, subject, kind, set(groups), set(act), claims).map(Requester)
}

fn user(
    vocabulary: &Vocabulary,
    subject: &Subject,
    kind: &str,
    groups: RestrictedExpression,
    act: RestrictedExpression,
    claims: Option<&Map<String, Value>>,
) -> Result<Entity, Unaskable> {
    let mut attributes = Attributes::with_capacity(5 + claims.map_or(0, Map::len));
    attributes.push(text("type", kind));
    attributes.push(text("iss", subject.iss.as_str()));
    attributes.push(text("sub", &subject.sub));
    attributes.push(("groups".to_owned(), groups));
    attributes.push(("act".to_owned(), act));
    let mut tags = Attributes::new();
    for (name, value) in claims.into_iter().flatten() {
        match (name.as_str(), value) {
            (
                "name" | "preferred_username" | "email" | "client_id" | "azp" | "acr",
                Value::String(value),
            ) => {
                attributes.push(text(name, value));
            }
            ("email_verified", Value::Bool(value)) => {
                attributes.push((name.clone(), RestrictedExpression::new_bool(*value)));
            }
            ("auth_time", Value::Number(value)) => {
                attributes.extend(
                    value
                        .as_i64()
                        .map(|value| (name.clone(), RestrictedExpression::new_long(value))),
                );
            }
            ("amr", value @ Value::Array(_)) => {
                let values = strings(Some(value)).map(str::to_owned);
                attributes.push((name.clone(), set(values)));
            }
            // The schema's names are never tags: there is one place to look.
            (
                "type" | "iss" | "sub" | "groups" | "act" | "email_verified" | "auth_time" | "amr",
                _,
            ) => {}
            (_, Value::String(value)) => tags.push(text(name, value)),
            (
                _,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_),
            ) => {}
        }
    }
    // `Subject` writes `<iss>|<sub>`, and an issuer holds no bar: two subjects never share an id.
    entity(
        uid(&vocabulary.user, &subject.to_string()),
        attributes,
        tags,
    )
}

fn tags(seen: &Seen<'_>) -> Attributes {
    let properties = seen.properties.iter();
    properties.map(|(name, value)| text(name, value)).collect()
}

fn call(seen: &Seen<'_>) -> Attributes {
    let mut call = Attributes::with_capacity(9);
    call.push(text("pep", seen.pep));
    let said = [
        ("kind", seen.kind),
        ("method", seen.method),
        ("authority", seen.authority),
        ("path", seen.path),
        ("query", seen.query),
        ("justification", seen.justification),
        ("ticket", seen.ticket),
    ];
    call.extend(
        said.into_iter()
            .filter_map(|(name, value)| Some(text(name, value?))),
    );
    call.extend(seen.body_bytes.map(|bytes| {
        (
            "body_bytes".to_owned(),
            RestrictedExpression::new_long(bytes),
        )
    }));
    call
}

fn entity(uid: EntityUid, attributes: Attributes, tags: Attributes) -> Result<Entity, Unaskable> {
    Entity::new_with_tags(uid, attributes, [], tags).map_err(|error| Unaskable(error.to_string()))
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(name: &str, value: &str) -> (String, RestrictedExpression) {
    (
        name.to_owned(),
        RestrictedExpression::new_string(value.to_owned()),
    )
}

fn set(items: impl IntoIterator<Item = String>) -> RestrictedExpression {
    RestrictedExpression::new_set(items.into_iter().map(RestrictedExpression::new_string))
}

/// The strings of an array. Anything else in it is left out; anything that is no array is empty.
fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use cedar_policy::Schema;
    use countersign_model::Issuer;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::new().unwrap());
    static SCHEMA: LazyLock<Schema> =
        LazyLock::new(|| crate::schema::schema(&["a".to_owned()]).unwrap());

    proptest! {
        // Strict validation is only worth something for questions that are as the schema says.
        #[test]
        fn questions_are_as_the_schema_says(
            names in proptest::collection::vec(proptest::sample::select(&[
                "groups", "name", "email", "email_verified", "acr", "amr", "auth_time", "client_id", "azp", "type",
                "iss", "sub", "act", "preferred_username", "service", "region", "kind", "method", "authority", "path", "query",
                "body", "pep",
            ][..]), 0..8),
            which in proptest::collection::vec(0..8_usize, 8),
        ) {
            let values =
                [json!(null), json!(true), json!(7), json!("text"), json!(["a", "b"]), json!([1, "a"]), json!({ "a": 1 }),
                 json!({ "size": 7 })];
            let members: serde_json::Map<String, Value> =
                names.iter().zip(which).map(|(name, which)| ((*name).to_owned(), values[which].clone())).collect();
            let operation = Operation::build(json!({
                "subject": { "type": "user", "id": "https://id.example.com|mara", "properties": { "claims": members } },
                "action": { "name": "a", "properties": members },
                "resource": { "type": "orders.customer", "id": "42", "properties": members },
                "context": { "pep": "gate", "nonce": "AAAAAAAAAAAAAAAAAAAAAA", "ticket": "T-1" },
            }))
            .unwrap();
            let subject = Subject::new(Issuer::parse("https://id.example.com").unwrap(), "elin").unwrap();
            let voter = Voter { subject, groups: BTreeSet::new(), claims: Value::Object(members.clone()) };
            let vocabulary = &VOCABULARY;
            for question in [
                may_do(&operation, vocabulary),
                may_vote(&voter, &operation, vocabulary),
                may_anybody_vote(&operation, vocabulary),
            ] {
                let Question { request, entities } = question.map_err(|why| why.0).unwrap();
                prop_assert!(Entities::from_entities(entities, Some(&SCHEMA)).is_ok());
                let part = |uid: Option<&EntityUid>| uid.unwrap().clone();
                let (principal, action) = (part(request.principal()), part(request.action()));
                let context = request.context().unwrap().clone();
                let again = Request::new(principal, action, part(request.resource()), context, Some(&SCHEMA));
                prop_assert!(again.is_ok(), "{:?}", again.err());
            }
        }
    }
}
