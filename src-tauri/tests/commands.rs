//! What a page may call, by the window that it is in and by where it came from: every command that this build
//! knows, the frame's own and those of the toolkit, is called from each.
//!
//! The commands come from the manifests that the build writes, so a new one is tried without being named here. Its
//! handler is replaced by one that only says that it was reached: what is tested is who gets that far.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use serde_json::Value;
use tauri::ipc::{CallbackFn, InvokeBody};
use tauri::test::{INVOKE_KEY, MockRuntime, get_ipc_response, mock_builder};
use tauri::webview::InvokeRequest;
use tauri::{App, WebviewWindow, WebviewWindowBuilder};

/// All that the page may call, in the one window.
const ALLOWED: [&str; 3] = ["call", "plugin:event|listen", "plugin:event|unlisten"];
/// Where our page comes from.
const OURS: &str = "tauri://localhost";

fn app() -> App<MockRuntime> {
    mock_builder()
        .invoke_handler(|invoke| {
            invoke.resolver.resolve("reached");
            true
        })
        .build(tauri::generate_context!())
        .unwrap()
}

fn window(app: &App<MockRuntime>, label: &str) -> WebviewWindow<MockRuntime> {
    WebviewWindowBuilder::new(app, label, tauri::WebviewUrl::default())
        .build()
        .unwrap()
}

/// Every command of this build, as a page would name it.
fn commands() -> BTreeSet<String> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/gen/schemas/acl-manifests.json"
    );
    let manifests: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut all = BTreeSet::new();
    for (plugin, manifest) in manifests.as_object().unwrap() {
        for permission in manifest["permissions"].as_object().unwrap().values() {
            for command in permission["commands"]["allow"].as_array().unwrap() {
                let command = command.as_str().unwrap();
                all.insert(match plugin.strip_prefix("core:").unwrap_or(plugin) {
                    "__app-acl__" => command.to_owned(),
                    plugin => format!("plugin:{plugin}|{command}"),
                });
            }
        }
    }
    all
}

/// Calls from a page in this window that came from this address. `Err` where it did not get past the guard.
fn call(window: &WebviewWindow<MockRuntime>, command: &str, from: &str) -> Result<(), String> {
    let answer = get_ipc_response(
        window,
        InvokeRequest {
            cmd: command.to_owned(),
            callback: CallbackFn(0),
            error: CallbackFn(1),
            url: from.parse().unwrap(),
            body: InvokeBody::default(),
            headers: tauri::http::HeaderMap::default(),
            invoke_key: INVOKE_KEY.to_owned(),
        },
    );
    match answer {
        Ok(_) => Ok(()),
        Err(Value::String(sentence)) if sentence.contains("not allowed") => Err(sentence),
        // It was reached, and did not like its arguments.
        Err(_) => Ok(()),
    }
}

#[test]
fn there_are_commands_to_try() {
    let all = commands();
    assert!(all.len() > 100, "{}", all.len());
    for command in ALLOWED {
        assert!(all.contains(command), "{command}");
    }
}

#[test]
fn the_window_may_call_what_it_needs_and_nothing_else() {
    let app = app();
    let main = window(&app, "main");
    let reached: Vec<String> = commands()
        .into_iter()
        .filter(|command| call(&main, command, OURS).is_ok())
        .collect();
    assert_eq!(reached, ALLOWED);
}

#[test]
fn no_other_window_may_call_anything() {
    let app = app();
    // Beside the true one: what matters is who calls, not what there is.
    let _main = window(&app, "main");
    for label in ["other", "main2", "Main", "mai", "main-other"] {
        let other = window(&app, label);
        for command in commands() {
            assert!(
                call(&other, &command, OURS).is_err(),
                "{label} may call {command}"
            );
        }
    }
}

#[test]
fn no_page_from_elsewhere_may_call_anything_not_even_in_the_true_window() {
    let app = app();
    let main = window(&app, "main");
    for from in [
        "https://evil.example/",
        "http://localhost/",
        "http://127.0.0.1:8080/",
        "file:///tmp/index.html",
        "data:text/html,x",
    ] {
        for command in commands() {
            assert!(
                call(&main, &command, from).is_err(),
                "{from} may call {command}"
            );
        }
    }
}
