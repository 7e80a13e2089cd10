//! `data`: files that are a function of the seed.

use std::path::{Path, PathBuf};

use anyhow::Result;
use samara_models::data::{DRAWS, Split};
use samara_models::model::Model;
use samara_models::output;

/// Writes the small sets, or with `splits` the large ones.
pub(crate) fn run(model: &Model, folder: &Path, seed: u64, splits: bool) -> Result<()> {
    let files = if splits { large(model, seed)? } else { small(model, seed)? };
    let files: Vec<(PathBuf, &[u8])> =
        files.iter().map(|(name, bytes)| (folder.join(name), &bytes[..])).collect();
    output::write(&files)
}

/// `calibrate.npz` and `evaluate.npz`.
pub(crate) fn small(model: &Model, seed: u64) -> Result<Vec<(String, Vec<u8>)>> {
    let source = &model.source;
    Ok(vec![
        ("calibrate.npz".into(), source.unlabelled_file(&source.generate(seed, Split::Calibration(0)))?),
        ("evaluate.npz".into(), source.labelled_file(&source.generate(seed, Split::Evaluation))?),
    ])
}

fn large(model: &Model, seed: u64) -> Result<Vec<(String, Vec<u8>)>> {
    let source = &model.source;
    let mut files = vec![
        ("train.npz".into(), source.labelled_file(&source.generate(seed, Split::Train))?),
        ("test.npz".into(), source.labelled_file(&source.generate(seed, Split::Test))?),
    ];
    for draw in 0..DRAWS {
        let set = source.generate(seed, Split::Calibration(draw));
        files.push((format!("calibrate-{draw}.npz"), source.unlabelled_file(&set)?));
    }
    Ok(files)
}
