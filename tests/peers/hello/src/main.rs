//! A hello-world Tauri app, the peer of the benchmarks: one page, shown once it says that it is there, as the app's
//! window does it.

/// The page is there: the window comes on screen.
#[tauri::command]
fn drew(window: tauri::WebviewWindow) -> Result<(), String> {
    window.show().map_err(|error| error.to_string())
}

fn main() {
    let app = tauri::Builder::default()
        .invoke_handler(tauri::generate_handler![drew])
        .run(tauri::generate_context!());
    if let Err(error) = app {
        eprintln!("hello: {error}");
        std::process::exit(1);
    }
}
