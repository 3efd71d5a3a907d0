//! `server.toml`: the example reads, and each mistake is named with its key.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use countersign_evidence::SecretKey;
use countersign_server::{Server, ServerConfig};

const EXAMPLE: &str = include_str!("../server.example.toml");

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        let key = SecretKey::generate([1; 32]);
        folder.write("orders-gate.public.jwk", &key.public().to_jwk().to_string());
        folder.write("private.jwk", &key.to_jwk().to_string());
        folder.write(
            "policy.cedar",
            &include_str!("../../policy/examples/orders.cedar")
                .replace("https://id.example.com", "https://login.example"),
        );
        folder
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, text: &str) -> Result<ServerConfig, String> {
        ServerConfig::read(&self.write("server.toml", text)).map_err(|error| error.to_string())
    }
}

#[test]
fn the_example_is_a_whole_configuration() {
    let folder = Folder::new();
    let config = folder.read(EXAMPLE).unwrap();
    assert_eq!(config.public_url.as_str(), "https://countersign.example");
    assert_eq!(
        config.policy,
        folder.0.path().join("policy.cedar"),
        "relative to the file"
    );
    assert_eq!(config.state_dir, PathBuf::from("/var/lib/countersign"));
    assert!(config.peps[0].may_ask("orders.customers.delete", "orders.customer"));
    assert!(!config.peps[0].may_ask("orders.prices.update", "orders.customer"));
    assert!(!config.peps[0].may_ask("orders.customers.delete", "orders.customers"));
    Server::check(&config).unwrap();
}

#[test]
fn each_mistake_is_named_with_its_key() {
    let folder = Folder::new();
    for (from, to, key, why) in [
        (
            "https://countersign.example\"",
            "http://countersign.example\"",
            "public_url",
            "use https",
        ),
        (
            "127.0.0.1:7100",
            "localhost",
            "listen",
            "an address and a port",
        ),
        (
            "session_secs = 43200",
            "session_secs = 60",
            "session_secs",
            "from 300",
        ),
        ("#auditors\"", "\"", "auditors", "<issuer>#<group>"),
        (
            "issuer = \"https://login.example\"",
            "issuer = \"login.example\"",
            "provider[0].issuer",
            "https",
        ),
        (
            "[\"RS256\", \"ES256\", \"EdDSA\"]",
            "[\"HS256\"]",
            "provider[0].algorithms",
            "`HS256`",
        ),
        ("[\"openid\", ", "[", "provider[0].scopes", "openid"),
        ("#platform\"", "\"", "administrators", "<issuer>#<group>"),
        (
            "groups_claim = ",
            "group_claim = ",
            "provider[0].group_claim",
            "unknown field",
        ),
        (
            "# roles = [\"approver\", ",
            "roles = [",
            "provider",
            "role `approver`",
        ),
        (
            "# redirect_ports = [40001",
            "redirect_ports = [0",
            "provider[0].redirect_ports",
            "must not contain 0",
        ),
        (
            "orders-gate.public.jwk",
            "private.jwk",
            "pep[0].key_file",
            "private key",
        ),
        (
            "orders-gate.public.jwk",
            "server.toml",
            "pep[0].key_file",
            "no JSON",
        ),
        (
            "[\"orders.customer\"]",
            "[]",
            "pep[0].resource_types",
            "may ask for",
        ),
        (
            "id = \"orders-gate\"",
            "id = \"orders gate\"",
            "pep[0].id",
            "1 to 64 characters",
        ),
        (
            "[\"orders.customer\"]",
            "[\"\"]",
            "pep[0].resource_types",
            "may ask for",
        ),
        (
            "redirect_path = \"/",
            "redirect_path = \"",
            "provider[0].redirect_path",
            "must begin with",
        ),
        ("listen =", "listn =", "listn", "unknown field"),
    ] {
        assert!(EXAMPLE.contains(from), "{from}");
        let error = folder.read(&EXAMPLE.replacen(from, to, 1)).unwrap_err();
        assert!(error.contains(key) && error.contains(why), "{to}: {error}");
    }
    let missing = folder
        .read(&EXAMPLE.replace("orders-gate.public.jwk", "nowhere.jwk"))
        .unwrap_err();
    assert!(missing.contains("nowhere.jwk"), "{missing}");
    let twice = format!(
        "{EXAMPLE}\n[[pep]]\nid = \"orders-gate\"\nkey_file = \"orders-gate.public.jwk\"\nactions = [\"a\"]\nresource_types = [\"b\"]\n"
    );
    assert!(folder.read(&twice).unwrap_err().contains("twice"));
    let provider = EXAMPLE.split_once("[[provider]]").unwrap().1;
    let provider = provider.split_once("[[pep]]").unwrap().0;
    let twice = format!("{EXAMPLE}\n[[provider]]{provider}");
    let error = folder.read(&twice).unwrap_err();
    assert!(
        error.contains("provider.issuer") && error.contains("twice"),
        "{error}"
    );
}

#[test]
fn a_policy_that_does_not_load_stops_the_start() {
    let folder = Folder::new();
    folder.write(
        "policy.cedar",
        "@id(\"x\") @aprovals(\"2\") permit (principal, action == Action::\"a\", resource);",
    );
    let config = folder.read(EXAMPLE).unwrap();
    let error = format!("{:#}", Server::check(&config).unwrap_err());
    assert!(
        error.contains("policy.cedar") && error.contains("aprovals"),
        "{error}"
    );
}
