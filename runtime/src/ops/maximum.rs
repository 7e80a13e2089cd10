//! Maximum: [`Extremum`] in the other direction.

use crate::kernels::reference::extremum as reference;
use crate::ops::minimum::{self, Extremum};
use crate::ops::op::Entry;

/// The greater of two operands.
pub type Maximum = Extremum<true>;

/// int8.
pub const INT8: Entry =
    Entry { name: "reference_maximum_int8", run: reference::integer::<true, i8>, ..minimum::INT8 };
/// uint8.
pub const UINT8: Entry =
    Entry { name: "reference_maximum_uint8", run: reference::integer::<true, u8>, ..minimum::UINT8 };
/// int16.
pub const INT16: Entry =
    Entry { name: "reference_maximum_int16", run: reference::integer::<true, i16>, ..minimum::INT16 };
/// int32.
pub const INT32: Entry =
    Entry { name: "reference_maximum_int32", run: reference::integer::<true, i32>, ..minimum::INT32 };
/// Float.
pub const F32: Entry = Entry { name: "reference_maximum_f32", run: reference::f32::<true>, ..minimum::F32 };

/// Every entry.
pub const KERNELS: &[Entry] = &[INT8, UINT8, INT16, INT32, F32];
