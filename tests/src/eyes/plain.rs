//! A picture of the screen as the reader wants it: gray, dark letters on light everywhere. Letters on a filled button
//! are light on a color; there light and dark are exchanged.

use anyhow::{Context, Result, bail};

/// The desktop behind all windows. Much black would make everything else look white to the reader.
const DESKTOP: [u8; 3] = [0, 0, 0];
/// What it is painted over with.
const PAPER: u8 = 243;
/// A filled button has at least so many pixels of its color in a row, to the left and to the right of its letters; a
/// stroke of a letter has fewer.
const FILLED_RUN: usize = 9;
/// Letters within a button interrupt its color by no more than this.
const LETTER_GAP: usize = 24;

/// The longest straight stroke within text, across and down.
const LONGEST_DASH: usize = 50;
const TALLEST_LETTER: usize = 26;
/// Smaller things in a button's color are no buttons: icons, dots, lines.
const LEAST_BUTTON: (usize, usize) = (44, 20);

/// A gray picture.
pub(super) struct Gray {
    pub(super) width: usize,
    pub(super) height: usize,
    pixels: Vec<u8>,
}

/// Where a filled button is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Button {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Gray {
    /// As a binary PGM (P5).
    pub(super) fn to_pgm(&self) -> Vec<u8> {
        let mut pgm = format!("P5\n{} {}\n255\n", self.width, self.height).into_bytes();
        pgm.extend_from_slice(&self.pixels);
        pgm
    }

    /// Takes a button out: its label, dark on white, with a margin. Paper is left behind.
    pub(super) fn take_out(&mut self, button: Button) -> Gray {
        const MARGIN: usize = 10;
        // Round corners show what is behind the button.
        const CORNER: usize = 4;
        let (width, height) = (button.width + 2 * MARGIN, button.height + 2 * MARGIN);
        let mut label = Gray {
            width,
            height,
            pixels: vec![255; width * height],
        };
        for y in 0..button.height {
            let from = (button.top + y) * self.width + button.left;
            let row = &mut self.pixels[from..from + button.width];
            if (CORNER..button.height - CORNER).contains(&y) {
                let to = (y + MARGIN) * width + MARGIN;
                let inner = CORNER..button.width - CORNER;
                for (to, from) in label.pixels[to..][inner.clone()]
                    .iter_mut()
                    .zip(&row[inner])
                {
                    *to = stretched(*from);
                }
            }
            row.fill(PAPER);
        }
        label
    }
}

impl Gray {
    /// Rubs out straight lines, such as the frames of fields and buttons: a reader takes a framed word for a drawing.
    pub(super) fn without_lines(mut self) -> Self {
        let (width, height) = (self.width, self.height);
        for y in 0..height {
            self.rub_out(LONGEST_DASH, (0..width).map(|x| y * width + x));
        }
        for x in 0..width {
            self.rub_out(TALLEST_LETTER, (0..height).map(|y| y * width + x));
        }
        self
    }

    fn rub_out(&mut self, longest: usize, places: impl Iterator<Item = usize>) {
        const DARK: u8 = 215;
        let mut run = Vec::new();
        for place in places {
            if self.pixels[place] < DARK {
                run.push(place);
            } else {
                if run.len() > longest {
                    run.iter().for_each(|place| self.pixels[*place] = PAPER);
                }
                run.clear();
            }
        }
    }
}

/// The button's own color, gray by now, becomes white; the letters stay black.
fn stretched(gray: u8) -> u8 {
    const COLOR: u8 = 150;
    if gray >= COLOR {
        255
    } else {
        u8::try_from(u32::from(gray) * 255 / u32::from(COLOR)).unwrap_or(255)
    }
}

/// A binary PPM (P6) in gray, and the filled buttons on it.
pub(super) fn of_ppm(ppm: &[u8]) -> Result<(Gray, Vec<Button>)> {
    let (width, height, pixels) = header(ppm)?;
    let mut gray = Vec::with_capacity(width * height);
    let mut found: Vec<Button> = Vec::new();
    for (y, row) in pixels.chunks_exact(width * 3).enumerate() {
        let row: Vec<[u8; 3]> = row.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect();
        let parts = filled(&row);
        for (start, end) in segments(&parts) {
            let above = found.iter_mut().find(|button| {
                button.top + button.height == y
                    && button.left < end
                    && start < button.left + button.width
            });
            match above {
                Some(button) => {
                    let right = end.max(button.left + button.width);
                    button.left = button.left.min(start);
                    button.width = right - button.left;
                    button.height += 1;
                }
                None => found.push(Button {
                    left: start,
                    top: y,
                    width: end - start,
                    height: 1,
                }),
            }
        }
        gray.extend(
            row.iter()
                .zip(&parts)
                .map(|(pixel, part)| match (pixel, part) {
                    (&DESKTOP, _) => PAPER,
                    (pixel, Part::Outside) => light(*pixel),
                    (pixel, Part::Button) => 255 - light(*pixel),
                }),
        );
    }
    found.retain(|button| button.width >= LEAST_BUTTON.0 && button.height >= LEAST_BUTTON.1);
    Ok((
        Gray {
            width,
            height,
            pixels: gray,
        },
        found,
    ))
}

fn segments(parts: &[Part]) -> Vec<(usize, usize)> {
    let mut segments: Vec<(usize, usize)> = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        match (part, segments.last_mut()) {
            (Part::Outside, _) => {}
            (Part::Button, Some((_, end))) if *end == at => *end = at + 1,
            (Part::Button, Some(_) | None) => segments.push((at, at + 1)),
        }
    }
    segments
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Outside,
    Button,
}

/// Which pixels of a row belong to filled buttons.
fn filled(row: &[[u8; 3]]) -> Vec<Part> {
    let mut parts = vec![Part::Outside; row.len()];
    // The color's runs, each from and to.
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (at, pixel) in row.iter().enumerate() {
        match runs.last_mut() {
            Some((_, end)) if is_color(*pixel) && *end == at => *end = at + 1,
            Some(_) | None if is_color(*pixel) => runs.push((at, at + 1)),
            Some(_) | None => {}
        }
    }
    let mut open: Option<(usize, usize)> = None;
    let mut before = 0;
    for (start, end) in runs {
        if start > before + LETTER_GAP {
            mark(&mut parts, open.take());
        }
        if end - start >= FILLED_RUN {
            open = Some((open.map_or(start, |(first, _)| first), end));
        }
        before = end;
    }
    mark(&mut parts, open);
    parts
}

fn mark(parts: &mut [Part], range: Option<(usize, usize)>) {
    if let Some((start, end)) = range {
        parts[start..end].fill(Part::Button);
    }
}

/// Dark and colored: ink, or a warning's red.
fn is_color([r, g, b]: [u8; 3]) -> bool {
    let (most, least) = (r.max(g).max(b), r.min(g).min(b));
    most - least > 60 && light([r, g, b]) < 130
}

fn light([r, g, b]: [u8; 3]) -> u8 {
    // ITU-R BT.601, in integers: at most 255.
    u8::try_from((299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b)) / 1000)
        .unwrap_or(u8::MAX)
}

fn header(ppm: &[u8]) -> Result<(usize, usize, &[u8])> {
    let mut at = 0;
    let mut words = Vec::new();
    while words.len() < 4 {
        let start = at;
        at += ppm[start..]
            .iter()
            .position(u8::is_ascii_whitespace)
            .context("find the header's end")?;
        words.push(std::str::from_utf8(&ppm[start..at]).context("read the header")?);
        at += 1;
    }
    let [kind, width, height, depth] = words[..] else {
        bail!("a header has four words")
    };
    anyhow::ensure!(kind == "P6" && depth == "255", "this is no PPM with 8 bits");
    let (width, height) = (width.parse::<usize>()?, height.parse::<usize>()?);
    let pixels = &ppm[at..];
    anyhow::ensure!(
        width > 0 && pixels.len() == width * height * 3,
        "the picture is cut off"
    );
    Ok((width, height, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filled_button_is_taken_out_with_its_letters_dark_on_light() {
        let (ink, white) = ([39, 65, 143], [255, 255, 255]);
        let plain = vec![white; 100];
        let mut with_button = vec![white; 20];
        with_button.extend(vec![ink; 25]);
        with_button.extend(vec![white; 3]);
        with_button.extend(vec![ink; 25]);
        with_button.extend(vec![white; 20]);
        // A letter in the color of the ink, outside of any button.
        with_button.extend(vec![ink; 3]);
        with_button.extend(vec![white; 4]);
        let mut ppm = b"P6\n100 40\n255\n".to_vec();
        for y in 0..40 {
            ppm.extend(
                (if (5..35).contains(&y) {
                    &with_button
                } else {
                    &plain
                })
                .iter()
                .flatten(),
            );
        }
        let (mut gray, buttons) = of_ppm(&ppm).unwrap();
        assert_eq!(
            buttons,
            [Button {
                left: 20,
                top: 5,
                width: 53,
                height: 30
            }]
        );
        let label = gray.take_out(buttons[0]);
        let middle = 25 * label.width;
        assert_eq!(
            (label.pixels[middle + 10], label.pixels[middle + 36]),
            (255, 0)
        );
        assert_eq!(
            (gray.pixels[2000 + 30], gray.pixels[2000 + 94]),
            (PAPER, light(ink))
        );
    }
}
