//! Names the page's one command and embeds the page.

use tauri_build::{AppManifest, Attributes};

fn main() {
    let attributes = Attributes::new().app_manifest(AppManifest::new().commands(&["drew"]));
    if let Err(error) = tauri_build::try_build(attributes) {
        println!("cargo::error=The peer's configuration is refused: {error:#}");
    }
}
