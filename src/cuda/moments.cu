#include "kernels/moments.hpp"

#include "cuda/current.cuh"
#include "cuda/dispatch.cuh"
#include "cuda/moments_few.cuh"
#include "cuda/moments_many.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;         // NOLINT(google-build-using-namespace): the backend's own
using namespace monge::cuda::verbs;  // NOLINT(google-build-using-namespace)

namespace {
template <class Score, int Z, class T>
void moments_few(const MomentsArgs<T>& a, Exec& exec) {
  sum_rows<Score, MomentsFew<T, Z>>(SweepArgs<T>(a.pairs, a.h, a.shift, a.eps),
                                    {a.values, a.center, {a.mass, a.first, a.second, a.values.dim}},
                                    exec);
}

template <class T>
void moments_many(const MomentsArgs<T>& a, Exec& exec) {
  SweepArgs<T> sweep(a.pairs, a.h, a.shift, a.eps);
  const int sides = (a.values.dim + kSide - 1) / kSide, bytes = moments_many_bytes<T>();
  check(cudaFuncSetAttribute(moments_many_kernel<T>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             bytes),
        "shared memory of moments");
  const double work =
      static_cast<double>(a.pairs.m) * sides * (sides + 1) / 2 * (kSide * kSide + a.pairs.rows.dim);
  in_slices(a.pairs.n, (sizeof(T) == 4 ? 1 : 2) * work, exec,
            [&](std::int64_t first, std::int64_t count) {
              sweep.first_block = first;  // blocks of one row here
              const dim3 grid(static_cast<unsigned>(count), sides * (sides + 1) / 2);
              moments_many_kernel<<<grid, kThreads, bytes, stream_of(exec)>>>(
                  sweep, {a.values, a.center, a.mass, a.first, a.second});
              check_launch("moments");
            });
}
}  // namespace

// One kernel a dimension where values have that of the points, as they mostly do.
template <class T>
void moments(const MomentsArgs<T>& a, Exec& exec) {
  if (a.pairs.n == 0) return;
  const Current current(exec);
  if (a.values.dim > 4) return moments_many(a, exec);
  if (a.pairs.form != Form::matrix && a.values.dim == a.pairs.rows.dim) switch (a.values.dim) {
      case 1:
        return moments_few<FewCoordinates<T, 1, 4>, 1>(a, exec);
      case 2:
        return moments_few<FewCoordinates<T, 2, 4>, 2>(a, exec);
      case 3:
        return moments_few<FewCoordinates<T, 3, 4>, 3>(a, exec);
      default:
        break;
    }
  by_dimension<4, 4>(a.pairs, [&]<class Score>(Type<Score>) { moments_few<Score, 4>(a, exec); });
}
template void moments<float>(const MomentsArgs<float>&, Exec&);
template void moments<double>(const MomentsArgs<double>&, Exec&);
}  // namespace monge::kernels::cuda
