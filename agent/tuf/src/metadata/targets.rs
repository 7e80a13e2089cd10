//! Targets metadata, delegations, and which paths a delegation covers.

use super::{Extra, Hashes, Keys, RoleKeys, Signed, TopLevel};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// A targets role, top-level or delegated (specification 4.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// Always `targets`.
    #[serde(rename = "_type")]
    pub kind: String,
    /// Version of the TUF specification.
    pub spec_version: String,
    /// Never goes back.
    pub version: u64,
    /// `YYYY-MM-DDTHH:MM:SSZ`.
    pub expires: String,
    /// Target files by name.
    pub targets: BTreeMap<String, TargetFile>,
    /// Roles that this one trusts for some names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegations: Option<Delegations>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What signed metadata says about a target file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetFile {
    /// Size in bytes.
    pub length: u64,
    /// Hexadecimal hashes by algorithm; sha256 and sha512 are checked.
    pub hashes: Hashes,
    /// Application data: for a bundle, what a device must have before it downloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<Value>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// The delegations of one role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Delegations {
    /// Keys of the delegated roles.
    pub keys: Keys,
    /// In order of priority.
    #[serde(default)]
    pub roles: Vec<DelegatedRole>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Trust in one role for some target names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegatedRole {
    /// Unique within the delegations.
    pub name: String,
    /// Who signs for it.
    #[serde(flatten)]
    pub authority: RoleKeys,
    /// Whether the search ends here even if the role does not list the target.
    pub terminating: bool,
    /// Shell patterns (`*`, `?`) of the names covered; exactly one of this and `path_hash_prefixes` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Hexadecimal prefixes of the SHA-256 of the names covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_hash_prefixes: Option<Vec<String>>,
}

impl DelegatedRole {
    /// Whether this delegation covers the target name.
    pub fn covers(&self, target: &str) -> bool {
        if let Some(paths) = &self.paths {
            return paths.iter().any(|pattern| matches(pattern, target));
        }
        let digest = hex::encode(Sha256::digest(target));
        self.path_hash_prefixes
            .iter()
            .flatten()
            .any(|prefix| digest.starts_with(&prefix.to_ascii_lowercase()))
    }

    fn validate(&self) -> Result<(), String> {
        let name = &self.name;
        // Case is ignored because a client stores roles as files, and some file systems ignore it too.
        if name.is_empty() || TopLevel::ALL.iter().any(|role| name.eq_ignore_ascii_case(role.name())) {
            return Err(format!("it delegates to a role named {name:?}"));
        }
        if self.authority.threshold == 0 {
            return Err(format!("delegated role {name} has threshold 0"));
        }
        match (&self.paths, &self.path_hash_prefixes) {
            (Some(paths), None) => match paths.iter().find(|path| path.contains('[')) {
                Some(path) => {
                    Err(format!("delegated role {name}: character sets are not supported, in {path:?}"))
                }
                None => Ok(()),
            },
            (None, Some(_)) => Ok(()),
            _ => Err(format!("delegated role {name} needs one of paths and path_hash_prefixes")),
        }
    }
}

impl Signed for Targets {
    const TYPE: &'static str = "targets";

    fn version(&self) -> u64 {
        self.version
    }

    fn expires(&self) -> &str {
        &self.expires
    }

    fn validate(&self) -> Result<(), String> {
        let Some(delegations) = &self.delegations else { return Ok(()) };
        if delegations.extra.contains_key("succinct_roles") {
            return Err("succinct_roles (TAP 15) is not supported".into());
        }
        let mut names = BTreeSet::new();
        for role in &delegations.roles {
            role.validate()?;
            if !names.insert(&role.name) {
                return Err(format!("it delegates to {} twice", role.name));
            }
        }
        Ok(())
    }
}

/// Shell pattern matching where no wildcard matches `/`; work is at most the product of the two lengths.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) = (pattern.chars().collect(), path.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to resume when a literal fails: after the last `*`, with one more character given to it.
    let mut retry: Option<(usize, usize)> = None;
    while t < path.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(&c) if c == path[t] || (c == '?' && path[t] != '/') => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        match retry {
            // A `/` cannot be swallowed, and an earlier `*` could only stop at the same one.
            Some((after, from)) if path[from] != '/' => {
                retry = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_the_specification() {
        for (pattern, path, expected) in [
            ("targets/*.tgz", "targets/foo.tgz", true),
            ("targets/*.tgz", "targets/foo.txt", false),
            ("foo-version-?.tgz", "foo-version-2.tgz", true),
            ("foo-version-?.tgz", "foo-version-alpha.tgz", false),
            ("*.tgz", "foo.tgz", true),
            ("*.tgz", "targets/foo.tgz", false),
            ("foo.tgz", "foo.tgz", true),
            ("foo.tgz", "foo.tgzz", false),
            ("?", "/", false),
            ("*", "", true),
            ("**", "ab", true),
            ("*/*", "a/b", true),
            ("*/*", "a/b/c", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b/*c", "axb/yc", true),
            ("a*b/*c", "ax/b/yc", false),
            ("*.MD", "x.md", false),
            ("é*", "éa", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn a_hostile_pattern_costs_no_exponential_time() {
        assert!(!matches(&"*a".repeat(2000), &"a".repeat(1999)));
        assert!(matches(&"*a".repeat(2000), &"a".repeat(2000)));
    }

    #[test]
    fn hash_prefixes() {
        let role = |prefixes: &[&str]| DelegatedRole {
            name: "bin".into(),
            authority: RoleKeys { keyids: vec![], threshold: 1 },
            terminating: false,
            paths: None,
            path_hash_prefixes: Some(prefixes.iter().map(|p| p.to_string()).collect()),
        };
        // sha256("a") = ca978112…
        assert!(role(&["00", "CA97"]).covers("a"));
        assert!(!role(&["ca98"]).covers("a"));
        assert!(!role(&[]).covers("a"));
    }
}
