//! The binary as scripts meet it: what it prints where, and how it exits.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    /// Runs in its own folder, with nothing of the machine's user around.
    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(line.split_whitespace())
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .output()
            .unwrap()
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails with this code, one sentence on stderr and nothing on stdout.
#[track_caller]
fn refused(output: &Output, code: i32, part: &str) {
    let said = err(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(part), "{said}");
    assert!(
        said.starts_with("countersign: ") && said.trim_end().lines().count() == 1,
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(out(output), "");
}

#[test]
fn help_has_examples_and_the_exit_codes() {
    let place = Place::new();
    let help = place.run("--help");
    assert_eq!(help.status.code(), Some(0));
    assert!(out(&help).contains("Exit codes:"));
    for command in [
        "serve",
        "gate http",
        "gate keygen",
        "token",
        "call",
        "wait",
        "verify",
        "approve",
        "policy check",
        "policy explain",
        "policy test",
    ] {
        let help = place.run(&format!("{command} --help"));
        assert_eq!(help.status.code(), Some(0), "{command}");
        assert!(out(&help).contains("Example"), "{command}: {}", out(&help));
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let place = Place::new();
    for line in ["", "nonsense", "gate http", "verify --check", "wait"] {
        assert_eq!(place.run(line).status.code(), Some(2), "{line}");
    }
}

#[test]
fn keygen_keeps_the_private_key_private_and_never_overwrites_one() {
    let place = Place::new();
    let made = place.run("gate keygen gate.key.json");
    assert_eq!(made.status.code(), Some(0));
    let public: serde_json::Value = serde_json::from_str(&out(&made)).unwrap();
    assert_eq!(public["kty"], "OKP");
    assert!(public.get("d").is_none());
    let path = place.path().join("gate.key.json");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&path).unwrap();
    refused(&place.run("gate keygen gate.key.json"), 2, "exists already");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(
        place
            .run("gate keygen other.json --public other.pub.json")
            .status
            .code(),
        Some(0)
    );
    assert!(place.path().join("other.pub.json").exists());
}

const POLICY: &str = r#"
@id("delete") @approvals("2")
permit (principal, action == Action::"orders.customers.delete", resource);
@id("read")
permit (principal, action == Action::"orders.customers.read", resource);
@id("vote")
permit (principal, action == Action::"vote", resource)
when { principal.groups.contains("https://id.example.com#dba") };
"#;

#[test]
fn policy_check_says_what_is_there_or_which_line_is_wrong() {
    let place = Place::new();
    place.write("good.cedar", POLICY);
    let good = place.run("policy check good.cedar");
    assert_eq!(good.status.code(), Some(0), "{}", err(&good));
    assert!(out(&good).contains("orders.customers.delete, orders.customers.read"));
    place.write("bad.cedar", &POLICY.replace("@approvals", "@aprovals"));
    let bad = place.run("policy check bad.cedar");
    assert_eq!(bad.status.code(), Some(2), "{}", out(&bad));
    assert!(err(&bad).contains("bad.cedar:2:15"), "{}", err(&bad));
    refused(&place.run("policy check nowhere.cedar"), 1, "cannot read");
}

#[test]
fn the_example_configurations_are_good() {
    let place = Place::new();
    place.write("policy.cedar", POLICY);
    place.write(
        "gate.toml",
        include_str!("../../gate-http/gate.example.toml"),
    );
    place.run("gate keygen gate.key.json --public gate.pub.json");
    let gate = place.run("gate http --config gate.toml --check");
    assert_eq!(
        (gate.status.code(), out(&gate).as_str()),
        (Some(0), "The gate's configuration is good.\n"),
        "{}",
        err(&gate)
    );
    place.write("trust.toml", include_str!("../trust.example.toml"));
    std::fs::copy(
        place.path().join("gate.pub.json"),
        place.path().join("server.key.json"),
    )
    .unwrap();
    place.write("id.example.com.jwks.json", "{\"keys\":[]}");
    let trust = place.run("verify --trust trust.toml --check");
    assert_eq!(trust.status.code(), Some(0), "{}", err(&trust));
}

#[test]
fn a_bad_configuration_is_one_sentence_and_exit_code_2() {
    let place = Place::new();
    refused(
        &place.run("gate http --config nowhere.toml"),
        2,
        "cannot read `nowhere.toml`",
    );
    refused(
        &place.run("serve --config nowhere.toml"),
        2,
        "cannot read `nowhere.toml`",
    );
    place.write("gate.toml", "listen = 1");
    refused(
        &place.run("gate http --config gate.toml --check"),
        2,
        "is not as it must be",
    );
    place.write(
        "trust.toml",
        "server = \"https://s.example\"\npolicy = \"p\"\nmore = 1\n",
    );
    refused(
        &place.run("verify --trust trust.toml --check"),
        2,
        "unknown field `more`",
    );
    place.write("requester.toml", "issuer = 1");
    refused(
        &place.run("token --config requester.toml"),
        2,
        "`requester.toml`",
    );
}

#[test]
fn a_token_needs_a_provider_and_a_client() {
    let place = Place::new();
    refused(&place.run("token"), 2, "--issuer");
    refused(
        &place.run("token --issuer https://id.example.com"),
        2,
        "--client",
    );
    refused(
        &place.run("token --issuer http://id.example.com --client c"),
        2,
        "https",
    );
    refused(&place.run("wait abc"), 2, "--server");
    refused(
        &place.run("wait a/b --server http://127.0.0.1:1"),
        2,
        "request id",
    );
    refused(
        &place.run("wait abc --server http://127.0.0.1:1"),
        2,
        "COUNTERSIGN_TOKEN",
    );
}

#[test]
fn a_challenge_is_followed_or_refused_by_name() {
    let place = Place::new();
    for (header, part) in [
        ("Basic", "not one for bearer tokens"),
        ("Bearer", "asks for nothing"),
    ] {
        let line =
            format!("token --issuer https://id.example.com --client c --for-challenge {header}");
        refused(&place.run(&line), 2, part);
    }
    refused(
        &place.run("call http://orders.example/customers/42"),
        2,
        "https only",
    );
    refused(
        &place.run("call https://orders.example/ -H nonsense"),
        2,
        "no header field",
    );
    refused(
        &place.run("call https://orders.example/ -H approval-id:x"),
        2,
        "set by this command itself",
    );
}

#[test]
fn whoever_does_not_answer_is_exit_code_6() {
    let place = Place::new();
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let output = place.run(&format!("token --issuer http://{gone} --client c"));
    refused(&output, 6, "does not answer");
    let output = place.run(&format!(
        "approve --key-file keys.json sign-in http://{gone}"
    ));
    assert_eq!(output.status.code(), Some(6), "{}", err(&output));
}

#[test]
fn an_approver_who_is_not_signed_in_is_told_so() {
    let place = Place::new();
    let output = place.run("approve --key-file keys.json list");
    assert_eq!(output.status.code(), Some(7), "{}", err(&output));
    assert!(err(&output).contains("sign-in"), "{}", err(&output));
    assert!(
        err(&output).contains("kept in keys.json, not in a keyring"),
        "a file is said aloud"
    );
}

#[test]
fn what_is_no_evidence_fails() {
    let place = Place::new();
    place.write("a.json", "{\"votes\":[],\"votes\":[]}");
    refused(&place.run("verify a.json"), 1, "is no evidence");
    refused(&place.run("verify nowhere.json"), 1, "cannot read");
}
