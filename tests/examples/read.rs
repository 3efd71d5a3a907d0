//! What the eyes read on a picture, for whoever writes a test of the screen:
//! `cargo run -p countersign-tests --example read PICTURE`.

fn main() -> anyhow::Result<()> {
    for picture in std::env::args().skip(1) {
        println!(
            "{}",
            countersign_tests::eyes::read(picture.as_ref())?.text()
        );
    }
    Ok(())
}
