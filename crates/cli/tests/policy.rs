//! `countersign policy …` as people and pipelines meet it.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for file in ["orders.cedar", "orders.matrix.toml"] {
            std::fs::copy(examples().join(file), place.0.path().join(file)).unwrap();
        }
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    /// Writes a file anew after a change.
    fn change(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{from}");
        self.write(name, &text.replace(from, to));
    }

    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_countersign"))
            .arg("policy")
            .args(line.split_whitespace())
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .output()
            .unwrap()
    }

    /// What goes to stdout, where it exits so.
    #[track_caller]
    fn says(&self, line: &str, code: i32) -> String {
        let output = self.run(line);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{}{}",
            out(&output),
            err(&output)
        );
        out(&output)
    }

    /// What goes to stderr, where it is refused.
    #[track_caller]
    fn refuses(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{}{}",
            out(&output),
            err(&output)
        );
        assert_eq!(out(&output), "");
        err(&output)
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy/examples")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const SERVER: &str = r#"
[[provider]]
name = "Test"
issuer = "https://id.example.com"
approver_client_id = "countersign"
scopes = ["openid"]
"#;

const GATE: &str = r#"
[[provider]]
issuer = "https://id.example.com"
approver_client_id = "countersign"
audience = "orders"

[[route]]
method = "GET"
path = "/customers/{id}"
action = "orders.customers.read"
resource_type = "orders.customer"
"#;

#[test]
fn the_examples_matrix_holds() {
    let place = Place::new();
    assert_eq!(
        place.says("test orders.matrix.toml", 0),
        "orders.matrix.toml: all 24 cells are as the file says.\n"
    );
    assert_eq!(place.run("check orders.cedar").status.code(), Some(0));
}

#[test]
fn a_refusal_shows_the_line_and_points_at_the_place() {
    let place = Place::new();
    place.change("orders.cedar", "@approvals(\"2\")", "@aprovals(\"2\")");
    assert_eq!(
        place.refuses("check orders.cedar"),
        "error in the policy `developers-delete-customers`: there is no annotation `@aprovals`; did you mean @approvals?\n  \
         --> orders.cedar:17:1\n      |\n   17 | @aprovals(\"2\")\n      | ^\n\n\
         countersign: orders.cedar: 1 thing is wrong with this policy\n"
    );
    let json: Value = serde_json::from_str(&out(&place.run("check orders.cedar --json"))).unwrap();
    assert_eq!(json["valid"], json!(false));
    assert_eq!(json["findings"][0]["line"], json!(17));
    assert_eq!(
        json["findings"][0]["policy"],
        json!("developers-delete-customers")
    );
}

#[test]
fn a_policy_is_checked_against_providers_and_gates() {
    let place = Place::new();
    place.write("server.toml", SERVER);
    place.write("gate.toml", GATE);
    let good = place.says("check orders.cedar --providers server.toml", 0);
    assert!(good.contains("against  server.toml"), "{good}");

    let missing = place.refuses("check orders.cedar --providers server.toml --gate gate.toml");
    assert!(
        missing.contains("no route of `gate.toml` has the action `orders.customers.delete`"),
        "{missing}"
    );
    place.change(
        "server.toml",
        "https://id.example.com",
        "https://login.example",
    );
    let stranger = place.refuses("check orders.cedar --providers server.toml");
    assert!(
        stranger.contains("the group `https://id.example.com#orders-dev` is of a provider that is not trusted here")
            && stranger.contains("--> orders.cedar:13:34"),
        "{stranger}"
    );
    place.write(
        "server.toml",
        &(SERVER.to_owned() + "groups = [\"orders-dev\"]\n"),
    );
    assert!(
        place
            .refuses("check orders.cedar --providers server.toml")
            .contains("`https://id.example.com` may not assert the group `dba`")
    );
    // Where a provider cannot sign a person in again, nobody of it can step up.
    place.write("server.toml", &(SERVER.to_owned() + "step_up = \"none\"\n"));
    place.change("orders.cedar", "@match(\"words\")", "@step_up(\"oidc\")");
    assert!(
        place
            .refuses("check orders.cedar --providers server.toml")
            .contains("nobody who may vote on it can step up at their provider")
    );
    place.write("server.toml", "[[provider]]\nissuer = 7\n");
    place.refuses("check orders.cedar --providers server.toml");
    place.write("server.toml", "");
    assert!(
        place
            .refuses("check orders.cedar --providers server.toml")
            .contains("names no [[provider]]")
    );
}

#[test]
fn what_tells_people_apart_is_copied_without_being_listed() {
    let place = Place::new();
    place.write(
        "policy.cedar",
        r#"@id("tenant")
           permit (principal, action in [Action::"orders.customers.read", Action::"http.request"], resource)
           when { principal.hasTag("tid") && principal.getTag("tid") == "t" };"#,
    );
    let audience = "audience = \"orders\"\n";
    let telling = GATE.replace(audience, &format!("{audience}person = [\"tid\"]\n"));
    for (gate, code) in [(GATE, 2), (&telling, 0)] {
        place.write("gate.toml", gate);
        let output = place.run("check policy.cedar --gate gate.toml");
        assert_eq!(output.status.code(), Some(code), "{}", err(&output));
        let says_so = err(&output).contains("the requester's claim `tid`");
        assert_eq!(says_so, code == 2, "{}", err(&output));
    }
}

const OPERATION: &str = r#"{
  "subject": { "type": "user", "id": "https://id.example.com|mara", "properties": { "claims": { "groups": ["orders-dev"] } } },
  "action": { "name": "orders.customers.delete", "properties": {} },
  "resource": { "type": "orders.customer", "id": "42", "properties": { "service": "orders-api" } }
}"#;

#[test]
fn an_answer_is_explained_by_rules_and_lines() {
    let place = Place::new();
    place.write("operation.json", OPERATION);
    assert_eq!(
        place.says("explain operation.json --policy orders.cedar", 0),
        "\
orders.customers.delete on orders.customer 42, asked by https://id.example.com|mara

ALLOWED ONCE APPROVED

By these rules
  developers-delete-customers (orders.cedar:16)

What it asks for, and which rule says so
  by              others            unless a rule says otherwise
  approvals       2                 developers-delete-customers
  step_up         none              unless a rule says otherwise
  match           none              unless a rule says otherwise
  fresh_claims    5m                unless a rule says otherwise
  reason          on_deny           developers-delete-customers
  notify_buttons  none              unless a rule says otherwise
  ttl             10m               developers-delete-customers
  grant           2m                developers-delete-customers
  irreversible    Cannot be undone  developers-delete-customers

Who may vote
  database approvers, by dba-vote (orders.cedar:54)
"
    );
    place.change("operation.json", "delete", "purge");
    let purge = place.says("explain operation.json --policy orders.cedar", 0);
    assert!(
        purge.contains("DENIED: the policy `no-purge` forbids it: Purging is done by"),
        "{purge}"
    );
    place.change("operation.json", "purge", "read");
    let json: Value =
        serde_json::from_str(&place.says("explain operation.json --policy orders.cedar --json", 0))
            .unwrap();
    assert_eq!(json["answer"], json!("allow"));
    assert_eq!(json["rules"][0]["id"], json!("developers-read"));
    place.write("operation.json", "{\"a\":1,\"a\":2}");
    place.refuses("explain operation.json --policy orders.cedar");
}

#[test]
fn cells_that_differ_are_shown_as_a_table() {
    let place = Place::new();
    place.change("orders.cedar", "@approvals(\"2\")", "@approvals(\"1\")");
    place.change(
        "orders.matrix.toml",
        "may = [\"jonas\"]",
        "may = [\"elin\"]",
    );
    let said = place.says("test orders.matrix.toml", 1);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        said.lines().map(words).collect::<Vec<_>>(),
        [
            "orders.matrix.toml: 3 of 24 cells are not as the file says.",
            "",
            "subject operation the file says the policy answers",
            "mara delete a customer approve{approvals: 2, irreversible: \"Cannot be undone\", reason: on_deny, ttl: 10m} \
             approve{irreversible: \"Cannot be undone\", reason: on_deny, ttl: 10m}",
            "by developers-delete-customers (orders.cedar:16)",
            "elin vote on change a price by elin may vote may not vote: nobody votes on their own request",
            "jonas vote on change a price by elin may not vote may vote",
        ]
    );
    // In columns: what the policy answers begins at the same place in each row.
    let column = |line: &str, text: &str| {
        let at = said.lines().find(|one| one.contains(line)).unwrap();
        at.rfind(text).unwrap()
    };
    assert_eq!(
        column("subject  operation", "the policy"),
        column("  jonas", "may vote")
    );
    let json: Value =
        serde_json::from_str(&place.says("test orders.matrix.toml --json", 1)).unwrap();
    assert_eq!(
        (&json["cells"], json["differ"].as_array().unwrap().len()),
        (&json!(24), 3)
    );
    assert_eq!(json["differ"][0]["rules"][0]["line"], json!(16));
}

#[test]
fn a_matrix_is_whole_or_it_is_refused() {
    for (from, to, says) in [
        (
            "\"change a price\" = \"deny\"\n",
            "",
            "says nothing about `elin` × `change a price` and 2 more",
        ),
        (
            "\"read a customer\" = \"allow\"",
            "\"read a customer\" = \"alow\"",
            "`alow` is no outcome",
        ),
        (
            "[expect.jonas]",
            "[expect.joans]",
            "[expect] names no subject: `joans`",
        ),
        (
            "\"read a customer\" = \"allow\"",
            "\"reed a customer\" = \"allow\"",
            "names no operation: `reed a customer`",
        ),
        (
            "may = [\"jonas\"]",
            "may = [\"joans\"]",
            "[[votes]] names no subject: `joans`",
        ),
        (
            "operation = \"change a price\"",
            "operation = \"x\"",
            "[[votes]] names no operation: `x`",
        ),
        (
            "[subjects.mara]",
            "[subjects.mara]\ngroup = []",
            "is not as it must be",
        ),
        (
            "id = \"https://id.example.com|mara\"",
            "id = \"mara\"",
            "subject `mara`",
        ),
        (
            "policy = \"orders.cedar\"",
            "policy = \"orders.matrix.toml\"",
            "orders.matrix.toml: line",
        ),
    ] {
        let place = Place::new();
        place.change("orders.matrix.toml", from, to);
        let said = place.refuses("test orders.matrix.toml");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn what_is_found_can_be_pasted() {
    let place = Place::new();
    let found = place.says("test orders.matrix.toml --found", 0);
    let matrix = place.read("orders.matrix.toml");
    let start = matrix.find("[expect.mara]").unwrap();
    let votes = matrix.find("# Who may vote").unwrap();
    place.write(
        "orders.matrix.toml",
        &format!("{}{found}{}", &matrix[..start], &matrix[votes..]),
    );
    place.says("test orders.matrix.toml", 0);
    assert!(
        found.contains("\"purge everything\" = \"deny by no-purge\""),
        "{found}"
    );
}

#[test]
fn a_token_that_is_not_good_enough_is_challenged() {
    let place = Place::new();
    place.write(
        "export.cedar",
        r#"@id("export") @token_scope("orders:export") @token_max_age("10m")
permit (principal, action == Action::"orders.export", resource)
when { principal.groups.contains("https://id.example.com#orders-dev") };"#,
    );
    place.write(
        "export.toml",
        r#"
policy = "export.cedar"
[subjects.weak]
id = "https://id.example.com|mara"
groups = ["orders-dev"]
scopes = ["orders"]
signed_in = "5m"
[subjects.stale]
id = "https://id.example.com|mara"
groups = ["orders-dev"]
scopes = ["orders", "orders:export"]
signed_in = "2h"
[subjects.good]
id = "https://id.example.com|mara"
groups = ["orders-dev"]
scopes = ["orders", "orders:export"]
signed_in = "5m"
[subjects.stranger]
id = "https://id.example.com|otto"
[operations.export]
action = "orders.export"
resource = { type = "orders.customer", id = "all" }
[expect]
weak.export = "challenge{error: insufficient_scope, max_age: 10m, scope: orders:export}"
stale.export = "challenge{error: insufficient_user_authentication, max_age: 10m, scope: orders:export}"
good.export = "allow"
stranger.export = "deny"
"#,
    );
    place.says("test export.toml", 0);
}
