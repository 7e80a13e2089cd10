//! Canonical JSON, the form that signatures cover (the OLPC form that securesystemslib also writes).
//!
//! Object keys sorted by code point, no white space, only `"` and `\` escaped, integers only.

use serde_json::Value;

/// Why a value has no canonical form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an integer, and canonical JSON has no other numbers")]
pub struct NotInteger(String);

/// The canonical bytes of `value`; fails on numbers that are not integers of 64 bits.
pub fn canonical(value: &Value) -> Result<Vec<u8>, NotInteger> {
    let mut out = Vec::with_capacity(256);
    emit(value, &mut out)?;
    Ok(out)
}

fn emit(value: &Value, out: &mut Vec<u8>) -> Result<(), NotInteger> {
    match value {
        Value::Null => out.extend(b"null"),
        Value::Bool(true) => out.extend(b"true"),
        Value::Bool(false) => out.extend(b"false"),
        Value::Number(n) if n.is_u64() || n.is_i64() => out.extend(n.to_string().bytes()),
        Value::Number(n) => return Err(NotInteger(n.to_string())),
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                emit(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(map) => {
            // Sorted here because another crate in the build may turn on serde_json's `preserve_order`.
            // UTF-8 byte order is code point order.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            out.push(b'{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                string(key, out);
                out.push(b':');
                emit(item, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> String {
        String::from_utf8(canonical(&serde_json::from_str(json).unwrap()).unwrap()).unwrap()
    }

    // Expected strings: securesystemslib.formats.encode_canonical of the same values.
    #[test]
    fn agrees_with_securesystemslib() {
        assert_eq!(
            of(r#"{ "b": [1, -2, true, null], "a": {"é": "x", "Z": ""} }"#),
            r#"{"a":{"Z":"","é":"x"},"b":[1,-2,true,null]}"#
        );
        assert_eq!(
            of(r#"["\"\\", "line\nfeed", "\u0000\u001f"]"#),
            "[\"\\\"\\\\\",\"line\nfeed\",\"\u{0}\u{1f}\"]"
        );
        // Code point order, which differs from UTF-16 order for these two.
        assert_eq!(of(r#"{"\ud83d\ude00": 1, "\uff5e": 2}"#), "{\"\u{ff5e}\":2,\"\u{1f600}\":1}");
        assert_eq!(of("18446744073709551615"), "18446744073709551615");
    }

    #[test]
    fn refuses_numbers_that_are_not_integers() {
        for json in ["1.5", "1e3", "1.0", "18446744073709551616"] {
            assert!(canonical(&serde_json::from_str(json).unwrap()).is_err(), "{json}");
        }
    }
}
