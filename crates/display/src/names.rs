//! The names of characters that cannot be shown as themselves.
//!
//! Abbreviations are those of the Unicode name aliases (`NameAliases.txt`) and of ISO 6429.

const C0: [&str; 32] = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR",
    "SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC",
    "FS", "GS", "RS", "US",
];

const C1: [&str; 32] = [
    "PAD", "HOP", "BPH", "NBH", "IND", "NEL", "SSA", "ESA", "HTS", "HTJ", "VTS", "PLD", "PLU",
    "RI", "SS2", "SS3", "DCS", "PU1", "PU2", "STS", "CCH", "MW", "SPA", "EPA", "SOS", "SGC", "SCI",
    "CSI", "ST", "OSC", "PM", "APC",
];

/// `U+202E RLO`: the code point, then what it is called.
pub(crate) fn chip(c: char) -> String {
    let name = name(c);
    if name.is_empty() {
        code_point(c)
    } else {
        format!("{} {name}", code_point(c))
    }
}

/// `U+202E`.
pub(crate) fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

fn name(c: char) -> String {
    let code = u32::from(c);
    let fixed = match code {
        0x00..=0x1F => C0[code as usize],
        0x80..=0x9F => C1[(code - 0x80) as usize],
        0x20 => "SP",
        0x7F => "DEL",
        0xA0 => "NBSP",
        0xAD => "SHY",
        0x034F => "CGJ",
        0x061C => "ALM",
        0x115F | 0x1160 | 0x3164 | 0xFFA0 => "Hangul filler",
        0x1680 => "Ogham space",
        0x180E => "MVS",
        0x17B4 | 0x17B5 => "Khmer vowel",
        0x2000 | 0x2002 => "en space",
        0x2001 | 0x2003 => "em space",
        0x2004 => "third em space",
        0x2005 => "quarter em space",
        0x2006 => "sixth em space",
        0x2007 => "figure space",
        0x2008 => "punctuation space",
        0x2009 => "thin space",
        0x200A => "hair space",
        0x200B => "ZWSP",
        0x200C => "ZWNJ",
        0x200D => "ZWJ",
        0x200E => "LRM",
        0x200F => "RLM",
        0x2028 => "line separator",
        0x2029 => "paragraph separator",
        0x202A => "LRE",
        0x202B => "RLE",
        0x202C => "PDF",
        0x202D => "LRO",
        0x202E => "RLO",
        0x202F => "NNBSP",
        0x205F => "MMSP",
        0x2060 => "WJ",
        0x2061..=0x2064 => "invisible operator",
        0x2066 => "LRI",
        0x2067 => "RLI",
        0x2068 => "FSI",
        0x2069 => "PDI",
        0x206A..=0x206F => "deprecated format",
        0x21AA => "arrow",
        0x27E6 | 0x27E7 => "bracket",
        0x2800 => "blank braille",
        0x3000 => "ideographic space",
        0xFEFF => "BOM",
        0xFFF9..=0xFFFB => "annotation",
        0xFFFC => "object",
        0xFFFD => "replacement",
        0xE0001 => "language tag",
        0xE007F => "cancel tag",
        0xE000..=0xF8FF | 0xF0000..=0xFFFFD | 0x0010_0000..=0x0010_FFFD => "private use",
        _ => "",
    };
    if !fixed.is_empty() {
        return fixed.to_owned();
    }
    match code {
        0x180B..=0x180D => format!("FVS{}", code - 0x180A),
        0x180F => "FVS4".to_owned(),
        0xFE00..=0xFE0F => format!("VS{}", code - 0xFE00 + 1),
        0xE0100..=0xE01EF => format!("VS{}", code - 0xE0100 + 17),
        // Tags mirror ASCII. The space has no picture, so it gets its name.
        0xE0020 => "tag SP".to_owned(),
        0xE0021..=0xE007E => {
            format!("tag {}", char::from_u32(code - 0xE0000).unwrap_or('?'))
        }
        _ if unicode_normalization::char::is_combining_mark(c) => "mark".to_owned(),
        _ if unassigned(c) => "unassigned".to_owned(),
        _ => String::new(),
    }
}

/// No character, or none that Unicode gives a meaning: unassigned, private use, noncharacters.
pub(crate) fn unassigned(c: char) -> bool {
    use unicode_script::{Script, UnicodeScript};
    c.script() == Script::Unknown
}
