//! A user's mistake: one line that names file, cause and remedy; exit code 2; nothing written.

use super::{Place, vibration};

/// Runs a command that cannot be asked; returns its line.
fn refused(place: &Place, args: &[&str]) -> String {
    let before = listing(place);
    let output = place.samara(args);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{args:?}: {text}");
    assert_eq!(listing(place), before, "{args:?} left something behind");
    text
}

fn listing(place: &Place) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(place.path("."))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn each_mistake_is_one_line() {
    let place = Place::new();
    std::fs::write(place.path("text.onnx"), "hello").unwrap();
    std::fs::write(place.path("truncated.onnx"), &std::fs::read(vibration("model.onnx")).unwrap()[..2000])
        .unwrap();
    std::fs::write(place.path("empty.npz"), "").unwrap();
    std::fs::write(place.path("not.samara"), [0u8; 4096]).unwrap();
    std::fs::create_dir(place.path("nothing")).unwrap();
    std::fs::create_dir(place.path("mixed")).unwrap();
    std::fs::write(place.path("mixed/notes.txt"), "hello").unwrap();
    let (model, data) = (vibration("model.onnx"), vibration("calibrate.npz"));
    for (args, says) in [
        (&["pack", "absent.onnx", "-o", "o"][..], "absent.onnx"),
        (&["pack", "text.onnx", "-o", "o"], "text.onnx"),
        (&["pack", "truncated.onnx", "-o", "o"], "truncated.onnx"),
        (&["pack", &model, "-o", "o", "--target", "zork"], "samara targets"),
        (&["pack", &model, "-o", "o", "--quantize", "int8"], "--calibrate"),
        (&["pack", &model, "-o", "o", "--calibrate", "empty.npz"], "empty.npz"),
        (&["pack", &model, "-o", "o", "--calibrate", "nothing"], "no .npy or .npz"),
        (&["pack", &model, "-o", "o", "--calibrate", "mixed"], "notes.txt"),
        (&["pack", &model, "-o", "o", "--target", "cortex-m0"], "floating point"),
        (&["pack", &model, "-o", "no/such/folder/o", "--calibrate", &data], "no/such/folder"),
        (&["pack", &model, "-o", "o", "--sign", "absent.key"], "absent.key"),
        (&["inspect", "not.samara"], "not a Samara bundle"),
        (&["verify", "not.samara", "--key", "absent.pub"], "absent.pub"),
        (&["run", "absent.samara", "--input", "empty.npz", "-o", "y.npz"], "absent.samara"),
        (&["key", "public", "text.onnx"], "text.onnx"),
        (&["repo", "status", "absent"], "absent"),
    ] {
        let line = refused(&place, args);
        assert!(line.contains(says), "{args:?}: {line}");
    }
}

#[test]
fn a_wrong_sample_names_its_shape() {
    let place = Place::new();
    place.pack("a.samara", "1.0.0");
    std::fs::copy(vibration("evaluate.npz"), place.path("e.npz")).unwrap();
    place.json(&["run", "a.samara", "--input", "e.npz", "-o", "y.npz"]);
    // The outputs are no inputs.
    let line = refused(&place, &["run", "a.samara", "--input", "y.npz", "-o", "z.npz"]);
    assert!(line.contains("y.npz") && line.contains("spectrograms"), "{line}");
}

#[test]
fn keys_and_versions_are_never_overwritten() {
    let place = Place::new();
    place.pack("a.samara", "1.0.0");
    let line = refused(&place, &["key", "new", "k"]);
    assert!(line.contains("never overwritten"), "{line}");
    place.json(&["repo", "init", "repo", "--keys", "keys"]);
    let add = ["repo", "add", "repo", "a.samara", "--keys", "keys", "--key", "k.pub"];
    place.json(&add);
    assert!(refused(&place, &add).contains("already"));
}
