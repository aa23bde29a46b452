//! Texts that are not ours.

/// Words that are not ours (an upstream's, or a file's that anybody may have written), safe to show: nothing in them ends
/// a line, moves the cursor, colours what follows or turns the order of reading around.
pub fn foreign(words: &str) -> String {
    let safe = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => ' ',
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    words.chars().map(safe).collect()
}

/// The one of `known` that `typed` was probably meant to be.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = typed.to_ascii_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&folded, &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_neither_end_a_line_nor_command_the_terminal() {
        assert_eq!(foreign("Größe ≈ 10 %"), "Größe ≈ 10 %");
        assert_eq!(
            foreign("a\r\nb\tc\x1b[2Jd\u{9b}31me\x7f\u{202e}f"),
            "a  b c\u{fffd}[2Jd\u{fffd}31me\u{fffd}\u{fffd}f"
        );
    }

    #[test]
    fn a_typo_finds_its_word() {
        assert_eq!(nearest("open_tme", ["open_time", "close_time"]), Some("open_time"));
        assert_eq!(nearest("vloume", ["volume", "count"]), Some("volume"));
        assert_eq!(
            nearest("binance-visoin", ["binance", "binance-vision"]),
            Some("binance-vision")
        );
        assert_eq!(nearest("zzz", ["open", "close"]), None);
    }
}
