// The absorbed kernel: K_ij = exp((f_i + g_j - c_ij) / eps) of some pair (f, g), kept in memory, so
// that softmin becomes a product of K with a vector, whatever the cost and the dimension are:
//   softmin(h)_i = f_i - eps log sum_j K_ij v_j,   v_j = exp((h_j - g_j) / eps)
#pragma once
#include <limits>

#include "kernels/backend.hpp"
#include "kernels/pairs.hpp"
#include "kernels/softmin.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
// Entries of float below 1.2e-38 are lost: with sum_j v_j up to the first they add at most 1.2e-26,
// to sums of at least 1e-18. A v_j below the range loses 1e-45, times the largest entry.
inline constexpr double kMostWeight = 1e12, kLargestEntry = 1e12;

/// K of type K for pairs in T, the same or narrower. Rows of K start at multiples of kPanel; their
/// padding is 0.
template <class T, class K = T>
struct AbsorbArgs {
  Pairs<T> pairs;   // of the side whose points are the rows of K; its list is not looked at
  const double* f;  // [n]
  const double* g;  // [padded(m)], -inf in the padding
  double eps;
  K* kernel;  // [n, padded(m)]
  // Scores and exponentials in T, rounded as those of sweeps that stream. f and g are numbers of T.
  bool narrow = false;
};

template <class K>
struct Absorbed {
  const K* kernel;
  std::int64_t stride;  // between rows of K
  bool transposed;      // the rows of K are the columns of the softmin
  const double *f, *g;  // of rows and columns of the softmin; [padded], -inf in the padding and for
                        // a point without partner
  std::int64_t* redone = nullptr;  // of a GPU: gains the number of rows redone without K
};

/// out [m, columns] = K^T K v: of a kernel with the scales of both sides in it, a product of the
/// normal equations.
template <class K>
struct NormalArgs {
  const K* kernel;  // [n, padded(m)], zeros in the padding
  std::int64_t n, m;
  const double* v;  // [m, columns]
  int columns;
  double* out;
};

/// What a softmin costs that streams and one that reads K, what it costs to absorb and a product
/// of the normal equations, in nanoseconds a pair and core: a table by cost, dimension, type, size
/// and instruction set. Infinite: there is no such.
struct AbsorbedCosts {
  double streamed, absorbed, absorb;
  double narrow = std::numeric_limits<double>::infinity();  // to absorb so
  double normal = std::numeric_limits<double>::infinity();
};

namespace cpu {
template <class T, class K>
bool absorb(const AbsorbArgs<T, K>&, Exec&);
template <class T, class K>
bool softmin(const SoftminArgs<T>&, const Absorbed<K>&, Exec&);
template <class T>
AbsorbedCosts absorbed_costs(const Pairs<T>&, Precision, int bytes);
std::int64_t absorbed_bytes(Device);
template <class K>
void normal(const NormalArgs<K>&, Exec&);
}  // namespace cpu
namespace cuda {
template <class T, class K>
bool absorb(const AbsorbArgs<T, K>&, Exec&);
template <class T, class K>
bool softmin(const SoftminArgs<T>&, const Absorbed<K>&, Exec&);
template <class T>
AbsorbedCosts absorbed_costs(const Pairs<T>&, Precision, int bytes);
std::int64_t absorbed_bytes(Device);
}  // namespace cuda

/// Scores and exponentials in double, rounded to K once, unless it is narrow; 0 below the smallest
/// normal number. False, the kernel then of no use, where an entry is above 1e12: what small v_j
/// lose would matter. Waits.
template <class T, class K = T>
bool absorb(const AbsorbArgs<T, K>& args, Exec& exec) {
  return MONGE_ON(exec.device, absorb(args, exec));
}

/// The softmin of `args` (whose list is null), without its shift. False, nothing being written,
/// where h is so far from g, or so many sums from 1, that entries may matter which K has lost. A
/// few rows whose sum leaves [1e-18, 1e18] are redone without K. Sums as in softmin.hpp, of type K;
/// v_j is formed in double and rounded once. A GPU, which the host does not wait for, redoes all
/// rows that are to be, says in Absorbed::redone how many, and is true.
template <class T, class K = T>
bool softmin(const SoftminArgs<T>& args, const Absorbed<K>& absorbed, Exec& exec) {
  return MONGE_ON(exec.device, softmin(args, absorbed, exec));
}

/// Reads K once: rows that the first product has brought serve the second. Sums as in softmin.hpp,
/// of type K, to which v and K v are rounded. On the CPU alone.
template <class K>
void normal(const NormalArgs<K>& args, Exec& exec) {
  cpu::normal(args, exec);
}

/// What a kernel may take where the caller does not say: 512 MiB, of a GPU a sixteenth of its
/// memory.
inline std::int64_t absorbed_bytes(Device device) {
  return MONGE_ON(device, absorbed_bytes(device));
}

/// `bytes`: of a value of K.
template <class T>
AbsorbedCosts absorbed_costs(const Pairs<T>& pairs, Precision precision, int bytes,
                             const Exec& exec) {
  return MONGE_ON(exec.device, absorbed_costs(pairs, precision, bytes));
}
}  // namespace monge::kernels
