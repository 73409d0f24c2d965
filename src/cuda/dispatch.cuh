// From the form and dimension of pairs to the Score that a kernel is compiled for.
#pragma once
#include "cuda/scores.cuh"

namespace monge::cuda::verbs {
template <class Score>
struct Type {};

/// run(Type<Score>). Few coordinates have a kernel for each dimension from `Least` to 4; fewer are
/// filled up with zeros, which changes no bit.
template <int Least, int R, class T, class Run>
void by_dimension(const Pairs<T>& p, const Run& run) {
  if (p.form == Form::matrix) return run(Type<MatrixEntries<T, R>>());
  const int dim = p.rows.dim;
  if (dim > 4) return run(Type<ManyCoordinates<T, R>>());
  if constexpr (Least <= 1)
    if (dim <= 1) return run(Type<FewCoordinates<T, 1, R>>());
  if constexpr (Least <= 2)
    if (dim <= 2) return run(Type<FewCoordinates<T, 2, R>>());
  if constexpr (Least <= 3)
    if (dim <= 3) return run(Type<FewCoordinates<T, 3, R>>());
  run(Type<FewCoordinates<T, 4, R>>());
}
template <int Least, class T, class Run>
void by_dimension(const Pairs<T>& p, const Run& run) {
  by_dimension<Least, kThreadRows<T>>(p, run);
}
}  // namespace monge::cuda::verbs
