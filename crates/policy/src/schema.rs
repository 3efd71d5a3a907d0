//! The built-in schema (`schema.cedarschema`), with the actions of a policy.
//!
//! Used when a policy loads, and by tests. Decisions need none: what they put to Cedar is made here, as the schema says.

use std::sync::LazyLock;

use cedar_policy::{Schema, SchemaFragment};
use serde_json::{Map, Value, json};

/// Read once: it is the same for every policy.
static BUILT_IN: LazyLock<Result<SchemaFragment, String>> = LazyLock::new(|| {
    SchemaFragment::from_cedarschema_str(include_str!("schema.cedarschema"))
        .map(|(schema, _)| schema)
        .map_err(|error| error.to_string())
});

/// The built-in schema and these actions of operations. All of them apply to the same types.
pub(crate) fn schema<'a>(actions: impl IntoIterator<Item = &'a String>) -> Result<Schema, String> {
    let applies = json!({ "appliesTo": {
        "principalTypes": ["User"], "resourceTypes": ["Resource"], "context": { "type": "Call" },
    } });
    let actions: Map<String, Value> = actions
        .into_iter()
        .map(|action| (action.clone(), applies.clone()))
        .collect();
    let own = json!({ "": { "entityTypes": {}, "actions": actions } });
    let built_in = BUILT_IN.as_ref().map_err(String::clone)?.clone();
    let own = SchemaFragment::from_json_value(own).map_err(|error| error.to_string())?;
    Schema::from_schema_fragments([built_in, own]).map_err(|error| error.to_string())
}
