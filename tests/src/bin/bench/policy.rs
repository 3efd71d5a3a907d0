//! One answer of the policy, beside bare Cedar and regorus over the same rules, with 10 of them and with 10,000.
//!
//! The job is the same for all three: an operation in, an answer out. So bare Cedar makes its entities and its
//! request from the operation too, and regorus its input; what they would cost if somebody had made them before
//! stands beside it. The rules are one permit per action and type of resource, each for another team.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::hint::black_box;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression,
};
use countersign_model::{Operation, PolicyAnswer, PolicyCheck as _};
use countersign_policy::Policy;
use serde_json::json;

use crate::measure::{Report, Series};

const ROUNDS: usize = 10;
/// How long one sample takes at least: many answers, or one where one takes longer.
const A_SAMPLE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 5 } else { 50 });
const FEW: usize = 10;
/// Without optimization 10,000 take minutes to load, and say nothing.
const MANY: usize = if cfg!(debug_assertions) { 100 } else { 10_000 };
const REGO_FILE: usize = 1_000;
const ISSUER: &str = "https://id.example.com";

fn timed(name: String) -> Series {
    Series::new(name, "us")
}

/// Answers the one question once.
type Asked<'a> = Box<dyn FnMut() -> Result<bool> + 'a>;

pub(crate) fn run() -> Result<()> {
    let few = Rules::new(FEW, Apart::ByAction)?;
    let begun = Instant::now();
    let many = Rules::new(MANY, Apart::ByAction)?;
    let of_one_action = Rules::new(MANY, Apart::ByType)?;
    let mut loading = Series::new(
        format!("load both sets of {MANY}, all three programs"),
        "ms",
    );
    loading.push_time(begun.elapsed());

    let mut series: Vec<(Series, Asked<'_>)> = Vec::new();
    for (rules, name) in [
        (&few, format!("{FEW} rules")),
        (&many, format!("{MANY} rules")),
        (&of_one_action, format!("{MANY} rules of one action")),
    ] {
        series.push((timed(format!("Countersign, {name}")), rules.countersign()));
        series.push((timed(format!("bare Cedar, {name}")), rules.bare_cedar()));
        let name_prepared = format!("bare Cedar, entities made before, {name}");
        series.push((timed(name_prepared), rules.prepared_cedar()?));
        series.push((timed(format!("regorus, {name}")), rules.regorus()));
    }
    for _ in 0..ROUNDS {
        for (series, answer) in &mut series {
            series.round();
            series.push(sample(answer)?);
        }
    }
    let series: Vec<Series> = series.into_iter().map(|(series, _)| series).collect();
    let mut report = Report::new(
        "policy",
        "at most 1.1 x bare Cedar; 10,000 rules cost at most twice what 10 cost",
    );
    report.ratio(
        &format!("Countersign / bare Cedar, {FEW} rules"),
        &series[0],
        &series[1],
    );
    report.ratio(
        &format!("Countersign / regorus, {FEW} rules"),
        &series[0],
        &series[3],
    );
    report.ratio(
        &format!("Countersign, {MANY} rules / {FEW} rules"),
        &series[4],
        &series[0],
    );
    report.ratio(
        &format!("Countersign, {MANY} rules of one action / {FEW} rules"),
        &series[8],
        &series[0],
    );
    report.ratio(
        &format!("bare Cedar, {MANY} rules / {FEW} rules"),
        &series[5],
        &series[1],
    );
    report.ratio(
        &format!("regorus, {MANY} rules / {FEW} rules"),
        &series[7],
        &series[3],
    );
    for one in series {
        report.add(one);
    }
    report.add(loading);
    report.finish()
}

/// Microseconds for one answer, over as many as fit in a sample.
fn sample(answer: &mut dyn FnMut() -> Result<bool>) -> Result<f64> {
    let begun = Instant::now();
    let mut answers = 0_u32;
    while answers == 0 || begun.elapsed() < A_SAMPLE {
        ensure!(black_box(answer()?), "an answer was another than before");
        answers += 1;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / f64::from(answers))
}

/// What tells the rules apart.
#[derive(Clone, Copy)]
enum Apart {
    ByAction,
    ByType,
}

/// The same rules for all three, and the operation that one of them permits.
struct Rules {
    policy: Policy,
    cedar: PolicySet,
    rego: regorus::Engine,
    operation: Operation,
    names: Names,
}

impl Rules {
    fn new(count: usize, apart: Apart) -> Result<Self> {
        let action = |n: usize| match apart {
            Apart::ByAction => format!("orders.action{n}"),
            Apart::ByType => "orders.action".to_owned(),
        };
        let (mut cedar, mut rego) = (String::new(), Vec::new());
        for n in 0..count {
            // regorus takes files of a limited length: several, of one package.
            if n % REGO_FILE == 0 {
                rego.push("package orders\nimport rego.v1\n".to_owned());
            }
            let file = rego.last_mut().context("a file was just begun")?;
            let (action, team) = (action(n), n % 20);
            writeln!(
                cedar,
                "@id(\"r{n}\") permit (principal, action == Action::\"{action}\", resource)\n\
                 when {{ resource.type == \"orders.type{n}\" && principal.groups.contains(\"{ISSUER}#team{team}\") }};"
            )?;
            writeln!(
                file,
                "applies contains \"r{n}\" if {{\n  input.action.name == \"{action}\"\n  input.resource.type == \
                 \"orders.type{n}\"\n  \"team{team}\" in input.subject.properties.claims.groups\n  \
                 startswith(input.subject.id, \"{ISSUER}|\")\n}}"
            )?;
        }
        let n = count / 2;
        let operation = |groups: &[String]| {
            Operation::build(json!({
                "subject": { "type": "user", "id": format!("{ISSUER}|mara"),
                    "properties": { "claims": { "name": "Mara Lindqvist", "email": "mara@example.com", "groups": groups } } },
                "action": { "name": action(n), "properties": {
                    "kind": "http", "method": "DELETE", "authority": "orders.example.com", "path": "/customers/42" } },
                "resource": { "type": format!("orders.type{n}"), "id": "42", "properties": { "service": "orders-api" } },
                "context": { "pep": "orders-gate", "nonce": "AAAAAAAAAAAAAAAAAAAAAA", "ticket": "T-1" },
            }))
        };
        let mut engine = regorus::Engine::new();
        for (n, file) in rego.into_iter().enumerate() {
            engine.add_policy(format!("orders{n}.rego"), file)?;
        }
        let rules = Self {
            policy: Policy::load(&cedar)?,
            cedar: cedar.parse()?,
            rego: engine,
            operation: operation(&["orders-dev".to_owned(), format!("team{}", n % 20)])?,
            names: Names::new()?,
        };
        rules.agree(&operation(&["orders-dev".to_owned()])?)?;
        Ok(rules)
    }

    /// All three permit the operation, and none permits it to somebody of no team.
    fn agree(&self, stranger: &Operation) -> Result<()> {
        for (operation, expected) in [(&self.operation, true), (stranger, false)] {
            let (request, entities) = self.names.question(operation)?;
            let cedar = Authorizer::new().is_authorized(&request, &self.cedar, &entities);
            let rego = rego(&mut self.rego.clone(), operation)?;
            let ours = self.policy.answer(operation);
            let answers = [
                ours == PolicyAnswer::Allow,
                cedar.decision() == Decision::Allow,
                rego,
            ];
            ensure!(answers == [expected; 3], "they do not agree: {answers:?}");
        }
        Ok(())
    }

    fn countersign(&self) -> Box<dyn FnMut() -> Result<bool> + '_> {
        Box::new(|| Ok(self.policy.answer(&self.operation) == PolicyAnswer::Allow))
    }

    fn bare_cedar(&self) -> Box<dyn FnMut() -> Result<bool> + '_> {
        let authorizer = Authorizer::new();
        Box::new(move || {
            let (request, entities) = self.names.question(&self.operation)?;
            let response = authorizer.is_authorized(&request, &self.cedar, &entities);
            Ok(response.decision() == Decision::Allow)
        })
    }

    fn prepared_cedar(&self) -> Result<Box<dyn FnMut() -> Result<bool> + '_>> {
        let authorizer = Authorizer::new();
        let (request, entities) = self.names.question(&self.operation)?;
        Ok(Box::new(move || {
            let response = authorizer.is_authorized(&request, &self.cedar, &entities);
            Ok(response.decision() == Decision::Allow)
        }))
    }

    fn regorus(&self) -> Box<dyn FnMut() -> Result<bool> + '_> {
        let mut engine = self.rego.clone();
        Box::new(move || rego(&mut engine, &self.operation))
    }
}

fn rego(engine: &mut regorus::Engine, operation: &Operation) -> Result<bool> {
    let text = std::str::from_utf8(operation.bytes())?;
    engine.set_input(regorus::Value::from_json_str(text)?);
    let applies = engine.eval_rule("data.orders.applies".to_owned())?;
    Ok(!applies.as_set()?.is_empty())
}

/// Cedar's names, read once.
struct Names {
    user: EntityTypeName,
    resource: EntityTypeName,
    action: EntityTypeName,
}

impl Names {
    fn new() -> Result<Self> {
        Ok(Self {
            user: EntityTypeName::from_str("User")?,
            resource: EntityTypeName::from_str("Resource")?,
            action: EntityTypeName::from_str("Action")?,
        })
    }

    /// The operation as somebody would put it to Cedar who uses it alone: what these rules may look at.
    fn question(&self, operation: &Operation) -> Result<(Request, Entities)> {
        let text = |name: &str, value: &str| {
            (
                name.to_owned(),
                RestrictedExpression::new_string(value.to_owned()),
            )
        };
        let uid = |kind: &EntityTypeName, id: &str| {
            EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
        };
        let subject = operation.subject();
        let claims = operation.claims();
        let claim = |name: &str| claims.get(name).and_then(serde_json::Value::as_str);
        let groups = claims.get("groups").and_then(serde_json::Value::as_array);
        let groups = groups.context("the operation names no groups")?.iter();
        let groups = groups
            .filter_map(serde_json::Value::as_str)
            .map(|name| RestrictedExpression::new_string(format!("{}#{name}", subject.iss)));
        let mut user = HashMap::from([
            text("type", operation.subject_type()),
            text("iss", subject.iss.as_str()),
            text("sub", &subject.sub),
            ("groups".to_owned(), RestrictedExpression::new_set(groups)),
            ("act".to_owned(), RestrictedExpression::new_set([])),
        ]);
        user.extend(
            ["name", "email"]
                .into_iter()
                .filter_map(|name| Some(text(name, claim(name)?))),
        );
        let of = |value: &serde_json::Value, name: &str| {
            value
                .get(name)
                .and_then(serde_json::Value::as_str)
                .map(|value| text(name, value))
        };
        let mut resource = HashMap::from([
            text("type", operation.resource_type()),
            text("id", operation.resource_id()),
        ]);
        resource.extend(of(operation.resource_properties(), "service"));
        let mut call = HashMap::from([text("pep", operation.pep().as_str())]);
        for name in ["kind", "method", "authority", "path"] {
            call.extend(of(operation.action_properties(), name));
        }
        call.extend(operation.ticket().map(|ticket| text("ticket", ticket)));
        let user = Entity::new(uid(&self.user, &subject.to_string()), user, HashSet::new())?;
        let resource = Entity::new(uid(&self.resource, "it"), resource, HashSet::new())?;
        let request = Request::new(
            user.uid(),
            uid(&self.action, operation.action()),
            resource.uid(),
            Context::from_pairs(call)?,
            None,
        )?;
        Ok((request, Entities::from_entities([user, resource], None)?))
    }
}
