//! What a packing's account tells a report: what was tried, and what calibration saw.

use super::page::choices;
use super::{Histogram, Trial};
use crate::pipeline::Account;
use crate::search::Point;

/// Recipes that were judged on calibration data, then the measured points of a search.
pub(super) fn trials(account: &Account) -> Vec<Trial> {
    let judged = account.trials.iter().map(|t| Trial {
        name: choices::line(&t.recipe),
        sqnr_db: Some(t.score.sqnr_db),
        agreement: t.score.agreement,
        chosen: account.found.is_none() && account.recipe.as_ref() == Some(&t.recipe),
        ..Trial::default()
    });
    let found = account.found.iter().flat_map(|f| {
        f.frontier.iter().enumerate().map(|(i, p): (usize, &Point)| Trial {
            name: choices::line(&p.recipe),
            bytes: Some(p.flash),
            arena: Some(p.ram),
            milliseconds: p.millis,
            drop: Some(p.drop),
            sqnr_db: Some(-10.0 * libm::log10(p.noise)),
            chosen: i == f.best,
            ..Trial::default()
        })
    });
    judged.chain(found).collect()
}

/// One histogram for each tensor whose bins were kept.
pub(super) fn histograms(account: &Account) -> Vec<Histogram> {
    let Some(base) = &account.base else { return Vec::new() };
    let of = |(t, tensor): (usize, &crate::ir::Tensor)| {
        let bins = base.observations.get(t)?.bins()?;
        Some(Histogram { tensor: tensor.name.clone(), bins, range: None })
    };
    base.float.tensors.iter().enumerate().filter_map(of).collect()
}
