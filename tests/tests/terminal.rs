//! What people do in a terminal, with the built programs and a real browser: following a challenge in place, an approval
//! that the provider confirms, an administrator who signs a device out, and an operator who changes the policy.

#![allow(clippy::unwrap_used)]

use countersign_tests::desktop::Daemon;
use countersign_tests::setup::Rules;
use countersign_tests::stage::{Stage, Whose};

struct Terminals {
    stage: Stage,
    lines: u32,
    _state: tempfile::TempDir,
}

impl Terminals {
    fn open() -> Self {
        let state = tempfile::tempdir().unwrap();
        let whose = Whose::Made(Daemon::None);
        Self {
            stage: Stage::start_by(state.path(), whose, Rules::QueryLevel).unwrap(),
            lines: 0,
            _state: state,
        }
    }

    /// What it says, and that it ends so.
    fn types(&mut self, person: &str, line: &str, code: i32) -> String {
        self.lines += 1;
        let name = format!("{person}-{}", self.lines);
        let (ended, said) = self.stage.types_and_waits(person, &name, line).unwrap();
        assert_eq!(ended, Some(code), "`{line}` says:\n{said}");
        said
    }
}

#[test]
fn a_challenge_is_followed_in_place() {
    let mut terminals = Terminals::open();
    let config = terminals.stage.setup.path("requester.toml");
    let line = format!(
        "countersign call --config {} {}/customers/export",
        config.display(),
        terminals.stage.gate_url
    );
    let said = terminals.types("mara", &line, 0);
    assert!(said.contains("orders:export"), "{said}");
    assert!(said.contains("Kestrel Outdoor"), "{said}");
}

#[test]
fn a_vote_is_confirmed_from_the_terminal_and_an_administrator_ends_the_device() {
    let mut terminals = Terminals::open();
    // One token for both calls: a new sign-in would be another operation.
    let token = format!("umask 077; {} > mara.token", terminals.stage.token_line());
    terminals.types("mara", &token, 0);
    let put = |more: &str| {
        format!("-X PUT -H 'Content-Type: application/json' -d '{{\"cents\":2490}}' -H '{more}'")
    };
    let calls = |terminals: &Terminals, more: &str| {
        let stage = &terminals.stage;
        stage.curl_with("$(cat mara.token)", &put(more), "/prices/A-100")
    };
    let ask = calls(&terminals, "Prefer: respond-async");
    let said = terminals.types("mara", &ask, 0);
    assert!(said.contains("403 Forbidden"), "{said}");
    let id = said
        .lines()
        .find_map(|line| line.strip_prefix("approval-id: "))
        .unwrap()
        .trim()
        .to_owned();

    let server = terminals.stage.server_url.clone();
    let sign_in = terminals
        .stage
        .approve("elin", &format!("sign-in {server}"));
    terminals.types("elin", &sign_in, 0);
    let approve = terminals
        .stage
        .approve("elin", &format!("approve {id} --yes"));
    let said = terminals.types("elin", &approve, 0);
    assert!(
        said.contains("Confirm this approval at Harbor ID"),
        "{said}"
    );
    assert!(said.contains("You approved; it is approved."), "{said}");
    let again = calls(&terminals, &format!("Approval-Id: {id}"));
    let said = terminals.types("mara", &again, 0);
    assert!(said.contains("200 OK") && said.contains("2490"), "{said}");

    let config = terminals.stage.setup.path("requester.toml");
    let at = format!("--server {server} --config {}", config.display());
    // Elin is no administrator.
    let said = terminals.types("elin", &format!("countersign devices list {at}"), 1);
    assert!(!said.contains("|elin"), "{said}");
    let said = terminals.types("noor", &format!("countersign devices list {at}"), 0);
    let device = said
        .split_whitespace()
        .find(|word| word.len() == 43)
        .unwrap_or_else(|| panic!("no device in:\n{said}"))
        .to_owned();
    terminals.types(
        "noor",
        &format!("countersign devices revoke {device} {at}"),
        0,
    );
    let list = terminals.stage.approve("elin", "list");
    let said = terminals.types("elin", &list, 7);
    assert!(said.to_lowercase().contains("sign in"), "{said}");
}

const READERS: &str = "@id(\"developers-read\")\npermit";
/// Reading takes a scope that the token of this test does not have.
const NOBODY: &str = "@id(\"developers-read\")\n@token_scope(\"orders:export\")\npermit";
const TAKEN: &str = "another policy is in force";
const REFUSED: &str = "the policy in the file is refused";

#[test]
fn an_operator_changes_the_policy_under_the_running_programs() {
    let mut terminals = Terminals::open();
    let token = format!("umask 077; {} > mara.token", terminals.stage.token_line());
    terminals.types("mara", &token, 0);
    let read = terminals
        .stage
        .curl_with("$(cat mara.token)", "", "/customers/42");
    let change = |terminals: &Terminals, from: &str, to: &str| {
        terminals
            .stage
            .setup
            .change("policy.cedar", from, to)
            .unwrap();
    };
    let said = |terminals: &Terminals, what: &str, times: usize| {
        for program in ["server", "gate"] {
            let processes = &terminals.stage.processes;
            processes.until_said(program, what, times).unwrap();
        }
    };
    assert!(terminals.types("mara", &read, 0).contains("200 OK"));

    // Nobody tells them: they look every few seconds.
    change(&terminals, READERS, NOBODY);
    said(&terminals, TAKEN, 1);
    let answer = terminals.types("mara", &read, 0);
    assert!(answer.contains("insufficient_scope"), "{answer}");

    // Open for reading again, but misspelt elsewhere, and told at once: the last good one stays.
    change(&terminals, "@approvals(\"2\")", "@aprovals(\"2\")");
    change(&terminals, NOBODY, READERS);
    for program in ["server", "gate"] {
        terminals.stage.processes.hang_up(program).unwrap();
    }
    said(&terminals, REFUSED, 1);
    let answer = terminals.types("mara", &read, 0);
    assert!(answer.contains("insufficient_scope"), "{answer}");

    change(&terminals, "@aprovals(\"2\")", "@approvals(\"2\")");
    said(&terminals, TAKEN, 2);
    assert!(terminals.types("mara", &read, 0).contains("200 OK"));
}
