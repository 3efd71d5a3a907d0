//! What shuts the page in, by the window's configuration: nothing of it is given up unnoticed.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn directives(policy: &str) -> BTreeMap<&str, &str> {
    let each = policy.split(';').map(str::trim);
    each.map(|directive| directive.split_once(' ').unwrap())
        .collect()
}

#[test]
fn the_page_loads_nothing_from_elsewhere_and_speaks_to_nobody_but_its_frame() {
    let config: Value = serde_json::from_str(&read("tauri.conf.json")).unwrap();
    let security = &config["app"]["security"];
    let page = directives(security["csp"].as_str().unwrap());
    let expected = [
        ("base-uri", "'none'"),
        ("connect-src", "ipc: http://ipc.localhost"),
        ("default-src", "'none'"),
        ("font-src", "'self'"),
        ("form-action", "'none'"),
        ("frame-ancestors", "'none'"),
        ("img-src", "'self'"),
        ("script-src", "'self'"),
        ("style-src", "'self'"),
    ];
    assert_eq!(page, BTreeMap::from(expected));

    // The tests of the pages run under the same, but for the way to the frame, which they have not.
    let server = read("../ui/scripts/serve.mjs");
    let tried = server.split("CSP = \"").nth(1).unwrap();
    let mut tried = directives(tried.split('"').next().unwrap());
    assert_eq!(tried.insert("connect-src", expected[1].1), None);
    assert_eq!(tried, page);

    assert_eq!(security["freezePrototype"], true);
    assert_eq!(security["capabilities"], serde_json::json!(["main"]));
    assert_eq!(
        security["dangerousDisableAssetCspModification"],
        Value::Null
    );
    assert_eq!(security["dangerousRemoteDomainIpcAccess"], Value::Null);
    assert_eq!(config["app"]["withGlobalTauri"], false);
    assert_eq!(config["app"]["windows"], serde_json::json!([]));
    assert_eq!(config["build"]["devUrl"], Value::Null);
}
