//! Names short enough to read: exporters write paths that differ somewhere in the middle.

use std::collections::{BTreeMap, BTreeSet};

/// Most characters of a short name.
const LENGTH: usize = 34;

/// Names of one kind, with what tells each from the others.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// Finds the shortest beginning of each path that no other has, without the beginnings that all share. Of
    /// names that list several paths (`a;b`, as TFLite writes what it fused) the first is taken.
    pub(super) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Names {
        let names: BTreeSet<&str> = names.into_iter().collect();
        let path = |name: &'n str| -> Vec<&'n str> {
            let first = name.split(';').find(|part| !part.is_empty()).unwrap_or(name);
            first.split('/').filter(|part| !part.is_empty()).collect()
        };
        let mut users: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        for name in &names {
            let path = path(name);
            (1..=path.len()).for_each(|n| *users.entry(path[..n].to_vec()).or_default() += 1);
        }
        let deep: Vec<Vec<&str>> = names.iter().map(|n| path(n)).filter(|p| p.len() > 1).collect();
        let first = deep.first().cloned().unwrap_or_default();
        let shared = (0..first.len())
            .take_while(|&i| deep.len() > 1 && deep.iter().all(|p| p.len() > i + 1 && p[i] == first[i]))
            .count();
        let short = |name: &str| {
            let path = path(names.get(name)?);
            // Those that only go on where this one ends tell themselves apart.
            let own = users.get(&path)?;
            let unique = (1..=path.len()).find(|&n| users.get(&path[..n]) == Some(own))?;
            let skip = if path.len() > 1 { shared.min(unique - 1) } else { 0 };
            Some(middle(&path[skip..unique]))
        };
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        let mut all = BTreeMap::new();
        for name in &names {
            // Two names that come out alike are both shown by their ends.
            let text = short(name).unwrap_or_else(|| end(name));
            match seen.get(&text) {
                Some(&other) => {
                    all.insert(other.to_owned(), end(other));
                    all.insert((*name).to_owned(), end(name));
                }
                None => {
                    seen.insert(text.clone(), name);
                    all.insert((*name).to_owned(), text);
                }
            }
        }
        Names(all)
    }

    /// What tells a name from the others; the end of one that is not among them.
    pub(super) fn short(&self, name: &str) -> String {
        self.0.get(name).cloned().unwrap_or_else(|| end(name))
    }
}

/// A path without as many of its inner parts as it takes to be short.
fn middle(path: &[&str]) -> String {
    let whole = path.join("/");
    let (Some(last), false) = (path.last(), whole.chars().count() <= LENGTH) else { return whole };
    let kept = (1..path.len()).rev().map(|n| format!("{}/…/{last}", path[..n - 1].join("/")));
    let kept = kept.filter(|text| !text.starts_with('/')).find(|text| text.chars().count() <= LENGTH);
    kept.unwrap_or_else(|| end(&whole))
}

fn end(name: &str) -> String {
    let count = name.chars().count();
    if count <= LENGTH {
        return name.to_owned();
    }
    format!("…{}", name.chars().skip(count + 1 - LENGTH).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short<const N: usize>(names: [&str; N]) -> [String; N] {
        let all = Names::new(names);
        names.map(|n| all.short(n))
    }

    #[test]
    fn what_differs_is_kept() {
        let onnx = ["/stem/act/Clip/moved", "/stem/conv/Conv/nhwc", "/top/act/Clip/moved", "image"];
        assert_eq!(short(onnx), ["stem/act", "stem/conv", "top", "image"]);
        let tflite = ["input", "model/a_1/Relu;model/b/Bias", "model/a_2/Relu;model/c/Bias"];
        assert_eq!(short(tflite), ["input", "a_1", "a_2"]);
    }

    #[test]
    fn names_stay_apart() {
        assert_eq!(short(["a", "a/moved", "a/moved/again", "b/c"]), ["a", "a/moved", "a/moved/again", "b"]);
        assert_eq!(short(["m/x;1", "m/x;2"]), ["m/x;1", "m/x;2"]);
        let long = ["/stem/act/Clip_output_0/moved", "/stem/act/Clip_output_0/moved/uncapped", "/top/conv"];
        assert_eq!(short(long), ["stem", "stem/act/Clip_output_0/…/uncapped", "top"]);
        assert_eq!(short([""]), [""]);
        let long = "é".repeat(60);
        assert_eq!(short([&long])[0].chars().count(), LENGTH);
        assert_eq!(Names::default().short("x"), "x");
    }
}
