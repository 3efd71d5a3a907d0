//! The app's icon as the notification daemon takes it: by its pixels, since the daemon may know no theme that has it.

use std::io::Cursor;
use std::sync::LazyLock;

use zbus::zvariant::{StructureBuilder, Value};

const FILE: &[u8] = include_bytes!("../../../../../icons/icon-128.png");

/// Width, height and RGBA bytes.
static PIXELS: LazyLock<Option<(i32, i32, Vec<u8>)>> = LazyLock::new(|| {
    let mut reader = png::Decoder::new(Cursor::new(FILE)).read_info().ok()?;
    let mut pixels = vec![0; reader.output_buffer_size()?];
    let info = reader.next_frame(&mut pixels).ok()?;
    if (info.color_type, info.bit_depth) != (png::ColorType::Rgba, png::BitDepth::Eight) {
        return None;
    }
    Some((
        i32::try_from(info.width).ok()?,
        i32::try_from(info.height).ok()?,
        pixels,
    ))
});

/// The hint `image-data` of the Desktop Notifications Specification: `(iiibiiay)`.
pub(super) fn icon() -> Option<Value<'static>> {
    let (width, height, pixels) = PIXELS.as_ref()?;
    let (has_alpha, bits, channels) = (true, 8i32, 4i32);
    let image = StructureBuilder::new()
        .add_field(*width)
        .add_field(*height)
        .add_field(*width * channels)
        .add_field(has_alpha)
        .add_field(bits)
        .add_field(channels)
        .add_field(pixels.clone())
        .build()
        .ok()?;
    Some(Value::from(image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_icon_has_the_signature_that_daemons_expect() {
        assert_eq!(icon().unwrap().value_signature().to_string(), "(iiibiiay)");
    }
}
