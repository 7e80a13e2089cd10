//! Permutations of axes.

use super::Tensor;

/// For each element of the transposed tensor, in row-major order, its position in the source of shape `dims`.
pub fn order(dims: &[usize], permutation: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; dims.len()];
    for k in (0..dims.len().saturating_sub(1)).rev() {
        strides[k] = strides[k + 1] * dims[k + 1];
    }
    let mut order = vec![0usize];
    for &axis in permutation {
        let step = |&at: &usize| (0..dims[axis]).map(move |i| (at, i));
        order = order.iter().flat_map(step).map(|(at, i)| at + i * strides[axis]).collect();
    }
    order
}

/// First `a`, then `b`: the permutation of `Transpose(b)` after `Transpose(a)`.
pub fn compose(a: &[usize], b: &[usize]) -> Vec<usize> {
    b.iter().map(|&k| a[k]).collect()
}

/// What undoes a permutation.
pub fn inverse(p: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; p.len()];
    for (k, &axis) in p.iter().enumerate() {
        inverse[axis] = k;
    }
    inverse
}

/// Whether nothing moves.
pub fn is_identity(p: &[usize]) -> bool {
    p.iter().enumerate().all(|(k, &axis)| k == axis)
}

/// Whether the elements keep their order because only axes of size 1 move.
pub fn keeps_order(dims: &[usize], p: &[usize]) -> bool {
    p.iter().filter(|&&axis| dims[axis] != 1).is_sorted()
}

/// `values[permutation[k]]` for each k.
pub fn apply<T: Copy>(values: &[T], permutation: &[usize]) -> Vec<T> {
    permutation.iter().map(|&axis| values[axis]).collect()
}

/// A constant with its axes permuted, its bytes moved and its quantization axis with them.
pub fn constant(t: &Tensor, permutation: &[usize]) -> Option<Tensor> {
    let data = t.data.as_ref()?;
    let order = order(&t.shape, permutation);
    let moved = if t.dtype.is_packed() {
        let levels: Vec<i8> = t.ints()?.into_iter().map(|l| l as i8).collect();
        Tensor::packed4("", t.dtype, vec![levels.len()], &apply(&levels, &order)).data?
    } else {
        let size = t.dtype.size();
        let mut moved = Vec::with_capacity(data.len());
        for at in order {
            moved.extend_from_slice(data.get(at * size..(at + 1) * size)?);
        }
        moved
    };
    let mut quant = t.quant.clone();
    if let Some(q) = quant.as_mut().filter(|q| q.scale.len() > 1) {
        q.axis = permutation.iter().position(|&axis| axis == q.axis)?;
    }
    let shape = apply(&t.shape, permutation);
    Some(Tensor { name: t.name.clone(), shape, dtype: t.dtype, quant, data: Some(moved) })
}

#[cfg(test)]
mod tests {
    use samara_runtime::Dtype;

    use super::*;
    use crate::ir::Quant;

    #[test]
    fn order_and_inverse_undo_each_other() {
        let (dims, p) = ([2, 3, 4], [2, 0, 1]);
        let there = order(&dims, &p);
        assert_eq!(there[..4], [0, 4, 8, 12]);
        let back = order(&apply(&dims, &p), &inverse(&p));
        let round: Vec<usize> = back.iter().map(|&i| there[i]).collect();
        assert_eq!(round, (0..24).collect::<Vec<_>>());
        assert!(is_identity(&compose(&p, &inverse(&p))));
        assert!(keeps_order(&[1, 5, 1, 7], &[0, 1, 3, 2]) && !keeps_order(&[1, 5, 2, 7], &[0, 2, 1, 3]));
    }

    #[test]
    fn a_constants_channel_axis_follows() {
        let quant = Quant { scale: vec![1.0, 2.0], zero_point: vec![0, 0], axis: 0 };
        let t = Tensor::constant("w", Dtype::I8, vec![2, 3], &[1i8, 2, 3, 4, 5, 6]).quantized(quant);
        let moved = constant(&t, &[1, 0]).unwrap();
        assert_eq!((moved.shape, moved.quant.unwrap().axis), (vec![3, 2], 1));
        assert_eq!(moved.data.unwrap(), [1, 4, 2, 5, 3, 6]);
        let t = Tensor::packed4("w", Dtype::I4, vec![3, 1, 1], &[1, -2, 3]);
        assert_eq!(constant(&t, &[1, 2, 0]).unwrap().ints().unwrap(), [1, -2, 3]);
        let t = Tensor::packed4("w", Dtype::U4, vec![2, 3], &[1, 2, 3, 4, 5, 15]);
        assert_eq!(constant(&t, &[1, 0]).unwrap().ints().unwrap(), [1, 4, 2, 5, 3, 15]);
    }
}
