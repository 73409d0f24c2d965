#include "kernels/pull.hpp"

#include "cuda/current.cuh"
#include "cuda/dispatch.cuh"
#include "cuda/products.cuh"
#include "cuda/pull_few.cuh"
#include "cuda/tensor_sums.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;         // NOLINT(google-build-using-namespace): the backend's own
using namespace monge::cuda::verbs;  // NOLINT(google-build-using-namespace)

namespace {
template <int D, class T>
void pull_few(const PullArgs<T>& a, Exec& exec) {
  const int dim = a.pairs.rows.dim;
  sum_rows<FewCoordinates<T, D>, PullFew<T, D>>(SweepArgs<T>(a.pairs, a.h, a.shift, a.eps),
                                                {{a.out, dim, slope_factor(a.pairs)}}, exec);
}

template <class T>
void pull_many(const PullArgs<T>& a, Exec& exec) {
  const int dim = a.pairs.rows.dim;
  for (int k0 = 0; k0 < dim; k0 += kWide)
    sum_rows<ManyCoordinates<T>, Products<T, Differences<T>>>(
        SweepArgs<T>(a.pairs, a.h, a.shift, a.eps),
        {{k0}, {a.out + k0, dim, std::min(kWide, dim - k0), slope_factor(a.pairs)}}, exec);
}
}  // namespace

template <class T>
void pull(const PullArgs<T>& a, Exec& exec) {
  if (a.pairs.n == 0) return;
  const Current current(exec);
  if constexpr (sizeof(T) == 4)
    if (on_tensor_cores(a.pairs))
      return tensor_sums({a.pairs, a.h, a.shift, a.eps, a.out, a.mass, a.cost}, exec);
  sum_apart(a, exec);
  switch (a.pairs.rows.dim) {
    case 1:
      return pull_few<1>(a, exec);
    case 2:
      return pull_few<2>(a, exec);
    case 3:
      return pull_few<3>(a, exec);
    case 4:
      return pull_few<4>(a, exec);
    default:
      return pull_many(a, exec);
  }
}
template void pull<float>(const PullArgs<float>&, Exec&);
template void pull<double>(const PullArgs<double>&, Exec&);
}  // namespace monge::kernels::cuda
