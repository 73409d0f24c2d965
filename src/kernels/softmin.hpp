// softmin, the inner loop of every solver:
//   out_i = -eps log sum_j exp((h_j - c_ij) / eps)
// h_j = -inf removes column j; a row with no column left gets +inf. What a sweep adds to a column,
// h_j or h_j - |y_j|^2, is formed in double and rounded to T once. `shift`, where not null, is
// the row's expected result (its previous potential): the sum is then taken relative to it with
// no running maximum, and a row whose sum leaves [1 / largest_sum, largest_sum] is redone with one.
// Sums have type T over at most 1024 columns, blocks combine in double in ascending order, so
// results depend on shape alone, never on threads.
#pragma once
#include "kernels/backend.hpp"
#include "kernels/host_device.hpp"
#include "kernels/pairs.hpp"
#include "kernels/update.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
// accurate: the type throughout; of float products on tensor cores three of half-precision parts,
// as exact as float. fast: one such product, an error of 2^-11 of the coordinates. mixed, of
// double: scores in double, their exponentials in float (on a GPU the sums of a block too);
// elsewhere accurate.
enum class Precision : std::uint8_t { accurate, fast, mixed };

/// Relative to a row's shift. Exponents e that mixed rounds to float move their weights by up to
/// |e| 2^-24 log 2: little only while those that count are small.
MONGE_HOST_DEVICE constexpr double largest_sum(Precision precision) {
  return precision == Precision::mixed ? 0x1p6 : 1e18;
}

template <class T>
struct SoftminArgs {
  Pairs<T> pairs;
  const double* h;      // [padded(m)], -inf in the padding
  const double* shift;  // [n] or null; rounded to T inside
  double* out;          // [n]; may be shift
  double eps;           // > 0
  Precision precision = Precision::accurate;
};

namespace cpu {
template <class T>
void softmin(const SoftminArgs<T>&, const HalfStepArgs<T>* step, Exec&);
}
namespace cuda {
template <class T>
void softmin(const SoftminArgs<T>&, const HalfStepArgs<T>* step, Exec&);
}

/// `step`, where not null, is the half-step of the rows that follows: its s is args.out, and it
/// writes nothing that the sweep reads. A GPU makes it in the launch that ends the sweep.
template <class T>
void softmin(const SoftminArgs<T>& args, Exec& exec, const HalfStepArgs<T>* step = nullptr) {
  MONGE_ON(exec.device, softmin(args, step, exec));
}
}  // namespace monge::kernels
