//! A bad file is one sentence that names the key and what to change.

use std::path::PathBuf;

use super::*;

const POLICY: &str = r#"
@id("read")
permit (principal, action == Action::"orders.customers.read", resource);
@id("delete") @approvals("2")
permit (principal, action == Action::"orders.customers.delete", resource);
@id("vote")
permit (principal, action == Action::"vote", resource)
when { principal.groups.contains("https://id.example.com#dba") };
"#;

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("policy.cedar"), POLICY).unwrap();
        let files = Self(dir);
        files.key(0o600);
        files
    }

    fn key(&self, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.path().join("gate.key.json");
        std::fs::write(&path, SecretKey::generate([1; 32]).to_jwk().to_string()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn read(&self, text: &str) -> Result<GateConfig, String> {
        let path = self.0.path().join("gate.toml");
        std::fs::write(&path, text).unwrap();
        GateConfig::read(&path).map_err(|error| error.to_string())
    }
}

fn example() -> String {
    include_str!("../../gate.example.toml").to_owned()
}

#[test]
fn the_example_is_good_and_names_every_key() {
    let config = Files::new().read(&example()).unwrap();
    assert_eq!(config.listen.port(), 8080);
    assert_eq!(config.hold, Duration::from_secs(30));
    for key in [
        "server_key_files",
        "evidence_dir",
        "upstream_timeout_secs",
        "body_limit_bytes",
        "text_limit_bytes",
        "max_open",
        "max_open_per_caller",
        "service",
        "credential_headers",
        "unbound_headers",
        "method_overrides",
        "claims",
        "name",
        "algorithms",
        "roles",
        "groups_claim",
        "groups_delimiter",
        "groups",
        "acr_claim",
        "acrs",
        "person",
        "initiator_claim",
        "initiator_issuer",
        "refreshed_tokens_repeat_nonce",
        "step_up",
    ] {
        assert!(example().contains(&format!("{key} = ")), "{key}");
    }
    // Each optional key, as the example writes it, is one that the reader takes.
    let all: String = example()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if rest.split_once(" = ").is_some_and(|(key, _)| {
                    key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                }) =>
            {
                rest
            }
            _ => line,
        })
        .filter(|line| !line.starts_with("server_key_files"))
        .collect::<Vec<_>>()
        .join("\n");
    assert_ne!(all, example());
    Files::new().read(&all).unwrap();
}

#[test]
fn a_bad_value_names_its_key() {
    let files = Files::new();
    for (from, to, part) in [
        (
            "listen = \"127.0.0.1:8080\"",
            "listen = \"here\"",
            "`listen`",
        ),
        (
            "http://127.0.0.1:9000",
            "http://127.0.0.1:9000/api",
            "`upstream`",
        ),
        ("http://127.0.0.1:9000", "ftp://127.0.0.1", "`upstream`"),
        ("pep = \"orders-gate\"", "pep = \"../x\"", "`pep`"),
        (
            "server = \"http://127.0.0.1:7000\"",
            "server = \"http://countersign.example\"",
            "`server`",
        ),
        ("hold_secs = 30", "hold_secs = 4000", "`hold_secs`"),
        ("hold_secs = 30", "hold_seconds = 30", "unknown field"),
        ("session_secs = 43200", "session_secs = 1", "`session_secs`"),
        (
            "issuer = \"https://id.example.com\"",
            "issuer = \"http://id.example.com\"",
            "`provider.issuer`",
        ),
        (
            "audience = \"urn:example:orders\"",
            "audience = \"\"",
            "`provider.audience`",
        ),
        (
            "# algorithms = [\"RS256\", ",
            "algorithms = [\"HS256\", ",
            "`provider.algorithms`",
        ),
        (
            "audience = \"urn:example:orders\"\n",
            "",
            "`provider.audience`",
        ),
        (
            "# roles = [\"approver\", \"requester\", \"workload\"]",
            "roles = [\"approver\"]",
            "`provider.audience`",
        ),
        (
            "# roles = [\"approver\", \"requester\", \"workload\"]",
            "roles = [\"admin\"]",
            "is not as it must be",
        ),
        (
            "# step_up = \"oidc\"",
            "stepup = \"oidc\"",
            "`provider.stepup`",
        ),
        (
            "# method_overrides = \"refused\"",
            "method_overrides = \"maybe\"",
            "is not as it must be",
        ),
        (
            "# claims = [\"name\", ",
            "claims = [\"iat\", ",
            "`iat` changes with each token",
        ),
        (
            "action = \"orders.customers.delete\"",
            "action = \"orders.customers.remove\"",
            "the policy names no action",
        ),
        (
            "title = \"Delete customer {id}\"",
            "title = \"Delete\"",
            "a verb and a thing",
        ),
        (
            "policy = \"policy.cedar\"",
            "policy = \"nowhere.cedar\"",
            "cannot be read",
        ),
        (
            "key_file = \"gate.key.json\"",
            "key_file = \"policy.cedar\"",
            "`key_file`",
        ),
        (
            "listen = \"127.0.0.1:8080\"",
            "listen = ",
            "is not as it must be",
        ),
    ] {
        let text = example();
        assert!(text.contains(from), "{from}");
        let error = files
            .read(&text.replace(from, to))
            .err()
            .unwrap_or_else(|| panic!("{to} was taken"));
        assert!(error.contains(part), "{to}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let files = Files::new();
    files.key(0o644);
    let error = files.read(&example()).err().unwrap();
    assert!(error.contains("chmod 600"), "{error}");
}

#[test]
fn a_policy_that_does_not_load_stops_the_gate() {
    let files = Files::new();
    std::fs::write(
        files.0.path().join("policy.cedar"),
        "permit (principal, action",
    )
    .unwrap();
    let error = files.read(&example()).err().unwrap();
    assert!(
        error.contains("`policy`") && error.contains("line 1"),
        "{error}"
    );
}
