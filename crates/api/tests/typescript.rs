//! The TypeScript of the window's vocabulary is generated from the Rust types. This test writes it when
//! `UPDATE_GENERATED=1` (`cargo xtask codegen`), and otherwise fails when what is committed is stale.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use countersign_api::ipc::{self, Frame, Question};
use ts_rs::{Config, TS, TypeVisitor};

/// Collects the declaration of each type that is reachable from the roots.
struct Collect {
    config: Config,
    seen: BTreeSet<TypeId>,
    declarations: BTreeMap<String, String>,
}

impl TypeVisitor for Collect {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        if T::output_path().is_none() || !self.seen.insert(TypeId::of::<T>()) {
            return;
        }
        let docs = T::docs().unwrap_or_default();
        self.declarations.insert(
            T::ident(&self.config),
            format!("{docs}export {}", T::decl(&self.config)),
        );
        T::visit_dependencies(self);
    }
}

fn render() -> String {
    let mut all = Collect {
        config: Config::default(),
        seen: BTreeSet::new(),
        declarations: BTreeMap::new(),
    };
    all.visit::<Question>();
    all.visit::<Frame>();
    let mut text = String::from(
        "// Generated from crates/api/src/ipc.rs by `cargo xtask codegen`. Do not edit.\n\n",
    );
    text.push_str(&format!(
        "/** The version of this vocabulary. */\nexport const VERSION = {};\n",
        ipc::VERSION
    ));
    for declaration in all.declarations.values() {
        text.push('\n');
        text.push_str(declaration.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn committed_typescript_is_what_the_types_yield() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/generated/ipc.ts");
    let fresh = render();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("make folder");
        std::fs::write(&path, &fresh).expect("write TypeScript");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == fresh,
        "ui/src/generated/ipc.ts is stale: run `cargo xtask codegen`"
    );
}
