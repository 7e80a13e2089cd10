//! Real, signed bundles of the smallest model there is: its output is its input.

use ed25519_dalek::{Signer, SigningKey};
use samara_runtime::{
    Desc, Dtype, Shape,
    bundle::{
        Kind, Prefix, Tag, Version, golden, manifest,
        plan::{Header, TensorRecord},
        section, verify,
    },
    ops::Rounding,
};
use sha2::{Digest, Sha256};

const ELEMENTS: u32 = 4;

/// What a test may vary.
pub(crate) struct Recipe {
    pub(crate) version: [u32; 3],
    /// Bytes of arena that the plan claims, at least 16.
    pub(crate) arena: u32,
    /// Whether the golden vector expects what the model computes.
    pub(crate) passes: bool,
    /// Bytes of weights, to make the file longer.
    pub(crate) weights: usize,
}

impl Recipe {
    pub(crate) fn new(version: [u32; 3]) -> Self {
        Self { version, arena: 16, passes: true, weights: 64 }
    }

    /// The file, and its digest.
    pub(crate) fn pack(&self, key: &SigningKey) -> (Vec<u8>, String) {
        let content = self.content();
        let chunk_log2 = 12;
        let table: Vec<u8> = content.chunks(1 << chunk_log2).flat_map(Sha256::digest).collect();
        let prefix = Prefix {
            chunk_log2,
            slots: 1,
            content_len: content.len() as u64,
            table_hash: Sha256::digest(&table).into(),
            name_hash: Sha256::digest("same").into(),
            version: Version { major: self.version[0], minor: self.version[1], patch: self.version[2] },
            security_counter: 0,
            class: [0; 32],
        };
        let slot = verify::Slot {
            key_id: verify::key_id(key.verifying_key().as_bytes()),
            signature: key.sign(&verify::message(&prefix)).to_bytes(),
        };
        let mut file = prefix.emit().to_vec();
        file.extend(slot.emit());
        file.extend(table);
        file.resize(prefix.content_start(), 0);
        file.extend(content);
        let digest = verify::digest(&prefix).iter().map(|byte| format!("{byte:02x}")).collect();
        (file, digest)
    }

    fn content(&self) -> Vec<u8> {
        let mut manifest = Vec::new();
        for (tag, text) in [(Tag::Name, "same"), (Tag::Input, "x"), (Tag::Output, "y")] {
            let value = postcard::to_allocvec(text).unwrap();
            manifest.extend(manifest::emit_header(tag, value.len() as u32));
            manifest.extend(value);
        }
        let header = Header {
            tensors: 1,
            steps: 0,
            operands: 2,
            attributes: 0,
            inputs: 1,
            outputs: 1,
            arena: self.arena,
            macs: 0,
            numeric: Rounding::None,
        };
        let desc = Desc::new(Dtype::F32, Shape::new(&[1, ELEMENTS]).unwrap());
        let mut plan = header.emit().to_vec();
        plan.extend(TensorRecord { desc, offset: 0 }.emit());
        plan.extend([0; 4]);
        let input = [1f32, -2.0, 3.5, 0.0];
        let expected = if self.passes { input } else { [1.0, -2.0, 3.5, 0.25] };
        let mut vectors = golden::emit_header(1, 1).to_vec();
        vectors.extend(golden::Tolerance { absolute: 0.0, relative: 0.0 }.emit());
        vectors.extend(input.iter().chain(&expected).flat_map(|value| value.to_le_bytes()));
        let weights = (0..self.weights).map(|n| n as u8).collect();
        lay_out(&[
            (Kind::Manifest, manifest),
            (Kind::Plan, plan),
            (Kind::Weights, weights),
            (Kind::Golden, vectors),
        ])
    }
}

fn lay_out(sections: &[(Kind, Vec<u8>)]) -> Vec<u8> {
    let mut at = section::TABLE_HEADER_LEN + sections.len() * section::RECORD_LEN;
    let mut content = section::emit_table_header(sections.len() as u32).to_vec();
    for (kind, bytes) in sections {
        at = at.next_multiple_of(section::SECTION_ALIGN);
        let (offset, len) = (at as u64, bytes.len() as u64);
        let record = section::Section { kind: *kind as u16, family: 0, offset, len };
        content.extend(record.emit());
        at += bytes.len();
    }
    for (_, bytes) in sections {
        content.resize(content.len().next_multiple_of(section::SECTION_ALIGN), 0);
        content.extend(bytes);
    }
    content
}
