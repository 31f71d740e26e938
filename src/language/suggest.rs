//! 'Did you mean': the nearest of some words, and lists of words for messages.

/// How many words a message lists before it stops.
const LISTED_MAX: usize = 12;

/// The word nearest to `word`, if it is close: at most max(1, length / 3) edits away.
pub fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    words
        .into_iter()
        .map(|candidate| (distance(word, candidate, limit), candidate))
        .filter(|&(d, _)| d <= limit)
        .min_by_key(|&(d, _)| d)
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", or nothing.
pub fn did_you_mean<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, words).map(|near| format!("did you mean `{near}`?"))
}

/// Words for a message about `word`: all in their order where they are few, else the nearest first.
pub fn near<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let mut words: Vec<&str> = words.into_iter().collect();
    if words.len() > LISTED_MAX {
        // A word within the other is nearer than letters alone say: `json` and `json_lines`.
        let apart = |known: &str| {
            let held = !word.is_empty() && (known.contains(word) || word.contains(known));
            (!held, distance(word, known, usize::MAX - 1))
        };
        words.sort_by_key(|known| apart(known));
    }
    list(words)
}

/// `a, b, c`, cut short after a dozen.
pub fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut words: Vec<&str> = words.into_iter().collect();
    let more = words.len() > LISTED_MAX;
    words.truncate(LISTED_MAX);
    let mut text = words.join(", ");
    if more {
        text.push_str(", …");
    }
    text
}

/// The number of letters to insert, remove, replace or swap with their neighbour; anything above
/// `limit` may come back as `limit + 1`.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > limit {
        return limit + 1;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_words_are_suggested() {
        let check = |word: &str, want: Option<&str>| {
            assert_eq!(nearest(word, ["match", "overwrite", "id", "drop"]), want, "{word}");
        };
        check("matches", Some("match"));
        check("mtach", Some("match"));
        check("overwirte", Some("overwrite"));
        check("ids", Some("id"));
        check("dorp", Some("drop"));
        check("patterns", None);
        check("x", None);
        check("", None);
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list(["a", "b"]), "a, b");
        assert!(list(["x"; 13]).ends_with("x, …"));
    }

    #[test]
    fn long_lists_begin_with_what_is_near() {
        assert_eq!(near("c", ["b", "a", "c"]), "b, a, c", "few words stay in their order");
        let words = [
            "a",
            "avro",
            "cef",
            "csv",
            "dots",
            "fluent",
            "json",
            "json_lines",
            "line",
            "plain",
            "msgpack",
            "rubydebug",
            "x",
        ];
        assert!(near("jsno", words).starts_with("json, "));
        assert!(near("lines", words).starts_with("line, json_lines, "));
        assert!(near("ruby", words).starts_with("rubydebug, "));
        assert!(near("", words).starts_with("a, x, "));
    }
}
