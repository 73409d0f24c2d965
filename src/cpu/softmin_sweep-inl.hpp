// The sweeps of softmin, for a file of each type: a sanitized build takes minutes for either.
#if defined(MONGE_CPU_SOFTMIN_SWEEP_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_SOFTMIN_SWEEP_INL
#undef MONGE_CPU_SOFTMIN_SWEEP_INL
#else
#define MONGE_CPU_SOFTMIN_SWEEP_INL
#endif

#include "cpu/product-inl.hpp"
#include "cpu/softmin-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
inline constexpr int kGathered = 4;  // dimensions at most

template <class E, class T>
void shifted_sweep_by(const SoftminArgs<T>& args, std::int64_t i0, int rows, ColumnRange range,
                      const T* whole_shift, T* scratch, double* sums) {
  const auto& p = args.pairs;
  const auto exponent = shifted_exponent(args);
  const bool product = is_product(p);
  const bool transposed = p.form == Form::matrix && p.col_stride != 1 && rows == kRowBlock;
  if (product) pack_rows(p.rows, i0, rows, scratch);
  HWY_ALIGN T h[kChunk];
  // Short runs of a list are laid together: what a run costs beside its columns is a third of 64.
  HWY_ALIGN T gathered[kChunk * kGathered];
  const bool gathers = p.list && is_direct(p) && p.cols.dim <= kGathered;
  SoftminArgs<T> together = args;
  together.pairs.cols.data = gathered;
  int held = 0;
  const auto sum_held = [&]() HWY_ATTR {
    with_direct_scores<kRows>(p, [&]<class Scores>(ScoresAre<Scores>) HWY_ATTR {
      sum_direct<E, Scores>(together, i0, rows, 0, held, h, whole_shift, exponent, sums);
    });
    held = 0;
  };
  for_each_chunk(p, i0 / kRowBlock, range, [&](std::int64_t j0, int columns) HWY_ATTR {
    if (gathers) {
      if (held + columns > kChunk) sum_held();
      prepare_h(args, exponent, j0, columns, h + held);
      std::copy_n(p.cols.data + j0 * p.cols.dim, columns * p.cols.dim,
                  gathered + held * p.cols.dim);
      held += columns;
      return;
    }
    prepare_h(args, exponent, j0, columns, h);
    if (product)
      return sum_products<E>(args, i0, rows, j0, columns, h, whole_shift, exponent, scratch, sums);
    if (transposed) return sum_transposed<E>(args, i0, j0, columns, h, whole_shift, exponent, sums);
    const bool direct = with_direct_scores<kRows>(p, [&]<class Scores>(ScoresAre<Scores>) HWY_ATTR {
      sum_direct<E, Scores>(args, i0, rows, j0, columns, h, whole_shift, exponent, sums);
    });
    if (!direct) sum_tiles<E>(args, i0, rows, j0, columns, h, whole_shift, exponent, sums);
  });
  if (held > 0) sum_held();
}

template <class T>
void shifted_sweep(const SoftminArgs<T>& args, std::int64_t i0, int rows, ColumnRange range,
                   const T* whole_shift, T* scratch, double* sums) {
  if constexpr (sizeof(T) == 8)
    if (args.precision == kernels::Precision::mixed)
      return shifted_sweep_by<MixedSum>(args, i0, rows, range, whole_shift, scratch, sums);
  shifted_sweep_by<ExpSum<T>>(args, i0, rows, range, whole_shift, scratch, sums);
}

template <class T>
std::int64_t scratch_size(const SoftminArgs<T>& args) {
  return is_product(args.pairs) ? std::int64_t{packed_rows(kRowBlock)} * args.pairs.rows.dim : 0;
}

template <class T>
SoftminSweep<T> sweep_of() {
  return {shifted_sweep<T>, robust_sweep<T>, log2_in_place, scratch_size<T>,
          ExpSumTraits<T>::largest_shift};
}
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
