//! What the measurements of time share: models of one layer at any size, the least time of many runs, a picture.

pub mod layers;
pub mod plot;
pub mod time;
pub mod walk;
