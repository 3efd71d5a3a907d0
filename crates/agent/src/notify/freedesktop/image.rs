//! The app's icon as the notification daemon takes it: by its pixels, since the daemon may know no theme that has it.

use std::io::Cursor;
use std::sync::LazyLock;

const FILE: &[u8] = include_bytes!("../../../../../icons/icon-128.png");

/// The hint `image-data` of the Desktop Notifications Specification: width, height, bytes in a row, whether there is
/// alpha, bits of a sample, samples of a pixel, and the pixels. They are borrowed: made into D-Bus values one by one, as
/// a generic value would be, they take forty times their size for a moment, and the allocator keeps that.
pub(super) type Image = (i32, i32, i32, bool, i32, i32, &'static [u8]);

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
        pixels.as_slice(),
    ))
}

#[cfg(test)]
mod tests {
    use zbus::zvariant::Type;

    use super::*;

    #[test]
    fn the_icon_has_the_signature_that_daemons_expect() {
        assert_eq!(Image::SIGNATURE.to_string(), "(iiibiiay)");
        assert!(icon().is_some());
    }
}
