// From the moves of potentials to those of gradients.
#pragma once
#include "ot/derivatives/directions.hpp"

namespace monge {
/// [count, n, d] of the points of a side whose sweep had its gradient.
template <class T>
Buffer<T> point_product(const Linear<T>& linear, const Directions<T>& along, Moves<T>& moves,
                        Side side, Exec& exec);
/// [count, n] of the weights of a side whose flow is known.
template <class T>
Buffer<T> weight_product(const Linear<T>& linear, const Directions<T>& along, Moves<T>& moves,
                         Side side, Exec& exec);
/// [d, n, d]: row t of block i is E_i e_t, the product with all points moved along axis t while the
/// potentials of the other side stand still.
template <class T>
Buffer<T> own_blocks(const Linear<T>& linear, Side side, Exec& exec);
}  // namespace monge
