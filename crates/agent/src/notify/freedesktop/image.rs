//! The app's icon as the notification daemon takes it: by its pixels, since the daemon may know no theme that has it.

use std::io::Cursor;
use std::sync::LazyLock;

use serde::{Serialize, Serializer};
use zbus::zvariant::{Signature, Type};

const FILE: &[u8] = include_bytes!("../../../../../icons/icon-128.png");

/// The hint `image-data` of the Desktop Notifications Specification: width, height, bytes in a row, whether there is
/// alpha, bits of a sample, samples of a pixel, and the pixels.
pub(super) type Image = (i32, i32, i32, bool, i32, i32, Pixels);

/// They are borrowed, and written in one piece: made into D-Bus values one by one, as a generic value would be, they take
/// forty times their size for a moment, and the allocator keeps that.
#[derive(Debug)]
pub(super) struct Pixels(&'static [u8]);

impl Type for Pixels {
    const SIGNATURE: &'static Signature = <[u8]>::SIGNATURE;
}

impl Serialize for Pixels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

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

pub(super) fn icon() -> Option<Image> {
    let (width, height, pixels) = PIXELS.as_ref()?;
    let (has_alpha, bits, channels) = (true, 8, 4);
    let row = *width * channels;
    Some((
        *width,
        *height,
        row,
        has_alpha,
        bits,
        channels,
        Pixels(pixels),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_icon_has_the_signature_that_daemons_expect() {
        assert_eq!(Image::SIGNATURE.to_string(), "(iiibiiay)");
        assert!(icon().is_some());
    }
}
