//! Names the page's one command, so that it needs a permission like any other, and embeds `ui/dist`.

use tauri_build::{AppManifest, Attributes};

fn main() {
    println!("cargo::rerun-if-changed=../ui/dist");
    if !std::path::Path::new("../ui/dist/index.html").is_file() {
        println!(
            "cargo::error=The window embeds ui/dist, which is not built yet: run `npm ci && npm run build` in ui/ first."
        );
        return;
    }
    let attributes = Attributes::new().app_manifest(AppManifest::new().commands(&["call"]));
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo::error=The window's configuration is refused: {error:#}");
    }
}
