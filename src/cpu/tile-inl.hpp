// Bodies of tile.hpp: one loop per class of cost writes |x - y|^2, x.y or matrix entries to the
// tile, then passes over the tile (in L1) turn them into costs, scores and weights.
#if defined(MONGE_CPU_TILE_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_TILE_INL
#undef MONGE_CPU_TILE_INL
#else
#define MONGE_CPU_TILE_INL
#endif

#include <algorithm>
#include <cmath>

#include "cpu/scores-inl.hpp"
#include "cpu/vectors.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
// |x - y|^2 (PRODUCT false) or x.y (true), R rows against C vectors of columns from t on. D = 0:
// any dimension.
template <bool PRODUCT, int R, int C, int D, class T>
HWY_INLINE void sweep_vectors(const T* HWY_RESTRICT x, const T* HWY_RESTRICT y, int dimension,
                              int t, T* HWY_RESTRICT out) {
  constexpr Tag<T> d;
  using V = hn::Vec<Tag<T>>;
  const int dim = D ? D : dimension;
  const T* column[C];
  V sum[R * C];
  unrolled<C>([&](int c) MONGE_LAMBDA {
    const int at = t + c * kLanes<T>;
    column[c] = y + at / kPanel * kPanel * dim + at % kPanel;
  });
  const int length = PRODUCT ? kSummed : dim;
  for (int k0 = 0; k0 < dim; k0 += length) {
    const int end = std::min(k0 + length, dim);
    unrolled<R * C>([&](int i) MONGE_LAMBDA { sum[i] = hn::Zero(d); });
    for (int k = k0; k < end; ++k) {
      V yk[C];
      unrolled<C>([&](int c) MONGE_LAMBDA { yk[c] = hn::Load(d, column[c] + k * kPanel); });
      unrolled<R>([&](int r) MONGE_LAMBDA {
        const V xk = hn::Set(d, x[k * kPanel + r]);
        unrolled<C>([&](int c) MONGE_LAMBDA {
          const V difference = PRODUCT ? yk[c] : hn::Sub(xk, yk[c]);
          sum[r * C + c] = hn::MulAdd(PRODUCT ? xk : difference, difference, sum[r * C + c]);
        });
      });
    }
    unrolled<R * C>([&](int i) MONGE_LAMBDA {
      T* const to = out + i / C * kColumnBlock + t + i % C * kLanes<T>;
      hn::Store(k0 > 0 ? hn::Add(sum[i], hn::Load(d, to)) : sum[i], d, to);
    });
  }
}

// Two vectors of columns share what is loaded of the rows, as many as the registers hold sums of.
template <bool PRODUCT, int R, int D, class T>
HWY_INLINE void sweep_points(const T* HWY_RESTRICT x, const T* HWY_RESTRICT y, int dim, int columns,
                             T* HWY_RESTRICT out) {
  constexpr int kSome = HWY_TARGET == HWY_AVX3 ? R : std::min(R, 4);
  for (int r = 0; r < R; r += kSome) {
    int t = 0;
    for (; t + 2 * kLanes<T> <= columns; t += 2 * kLanes<T>)
      sweep_vectors<PRODUCT, kSome, 2, D>(x + r, y, dim, t, out + r * kColumnBlock);
    for (; t < columns; t += kLanes<T>)
      sweep_vectors<PRODUCT, kSome, 1, D>(x + r, y, dim, t, out + r * kColumnBlock);
  }
}

template <bool PRODUCT, int R, class T>
void sweep_rows(const T* x, const T* y, int dim, int columns, T* out) {
  switch (PRODUCT ? 0 : dim) {
    case 1:
      return sweep_points<PRODUCT, R, 1>(x, y, dim, columns, out);
    case 2:
      return sweep_points<PRODUCT, R, 2>(x, y, dim, columns, out);
    case 3:
      return sweep_points<PRODUCT, R, 3>(x, y, dim, columns, out);
    case 4:
      return sweep_points<PRODUCT, R, 4>(x, y, dim, columns, out);
    default:
      return sweep_points<PRODUCT, R, 0>(x, y, dim, columns, out);
  }
}

template <bool PRODUCT, class T>
void sweep(const kernels::Pairs<T>& p, std::int64_t i0, int rows, std::int64_t j0, int columns,
           T* out) {
  const T* const y = p.cols.data + j0 * p.cols.dim;
  if (rows == kTileRows && i0 % kTileRows == 0)
    return sweep_rows<PRODUCT, kTileRows>(row_coordinates(p.rows, i0), y, p.rows.dim, columns, out);
  for (int r = 0; r < rows; ++r)
    sweep_rows<PRODUCT, 1>(row_coordinates(p.rows, i0 + r), y, p.rows.dim, columns,
                           out + r * kColumnBlock);
}

// out = op(out) over the tile; op(vector, row, column) -> vector.
template <class T, class Op>
HWY_INLINE void transform(int rows, int columns, T* out, const Op& op) {
  const hn::CappedTag<T, kPanel> d;
  for (int r = 0; r < rows; ++r)
    for (int t = 0; t < columns; t += static_cast<int>(hn::Lanes(d))) {
      T* const at = out + r * kColumnBlock + t;
      hn::Store(op(hn::Load(d, at), r, t), d, at);
    }
}

// Columns beyond the matrix get 0. Where rows are contiguous (transposed access), 4 x 4 floats or
// 2 x 2 doubles are transposed in registers.
template <class T>
void matrix_costs(const kernels::Pairs<T>& p, std::int64_t i0, int rows, std::int64_t j0,
                  int columns, T* out) {
  const int inside = static_cast<int>(std::min<std::int64_t>(columns, p.m - j0));
  const T* const from = p.matrix + i0 * p.row_stride + j0 * p.col_stride;
  for (int r = 0; r < rows; ++r) {
    T* const to = out + r * kColumnBlock;
    if (p.col_stride == 1) std::copy_n(from + r * p.row_stride, inside, to);
    std::fill(to + inside, to + columns, T(0));
  }
  if (p.col_stride == 1) return;
  int done_rows = 0, done_columns = 0;
#if HWY_TARGET != HWY_SCALAR
  constexpr int kSquare = 16 / sizeof(T);
  const hn::FixedTag<T, kSquare> d;
  done_rows = rows / kSquare * kSquare;
  done_columns = inside / kSquare * kSquare;
  for (int t = 0; t < done_columns; t += kSquare)
    for (int r = 0; r < done_rows; r += kSquare) {
      const T* const at = from + r * p.row_stride + t * p.col_stride;
      T* const to = out + r * kColumnBlock + t;
      if constexpr (kSquare == 4) {
        const auto c0 = hn::LoadU(d, at), c1 = hn::LoadU(d, at + p.col_stride);
        const auto c2 = hn::LoadU(d, at + 2 * p.col_stride);
        const auto c3 = hn::LoadU(d, at + 3 * p.col_stride);
        const auto low02 = hn::InterleaveLower(d, c0, c2), low13 = hn::InterleaveLower(d, c1, c3);
        const auto high02 = hn::InterleaveUpper(d, c0, c2), high13 = hn::InterleaveUpper(d, c1, c3);
        hn::Store(hn::InterleaveLower(d, low02, low13), d, to);
        hn::Store(hn::InterleaveUpper(d, low02, low13), d, to + kColumnBlock);
        hn::Store(hn::InterleaveLower(d, high02, high13), d, to + 2 * kColumnBlock);
        hn::Store(hn::InterleaveUpper(d, high02, high13), d, to + 3 * kColumnBlock);
      } else {
        const auto c0 = hn::LoadU(d, at), c1 = hn::LoadU(d, at + p.col_stride);
        hn::Store(hn::InterleaveLower(d, c0, c1), d, to);
        hn::Store(hn::InterleaveUpper(d, c0, c1), d, to + kColumnBlock);
      }
    }
#endif
  for (int r = 0; r < rows; ++r)
    for (int t = r < done_rows ? done_columns : 0; t < inside; ++t)
      out[r * kColumnBlock + t] = from[r * p.row_stride + t * p.col_stride];
}

// out = factor out^q over the tile.
template <int R, class T>
HWY_INLINE void powers_of_rows(int columns, T q, T factor, T* out) {
  constexpr Tag<T> d;
  for (int t = 0; t < columns; t += kLanes<T>) {
    hn::Vec<Tag<T>> s[R];
    unrolled<R>([&](int r) MONGE_LAMBDA { s[r] = hn::Load(d, out + r * kColumnBlock + t); });
    pow_positive(d, s, q);
    unrolled<R>([&](int r) MONGE_LAMBDA {
      hn::Store(hn::Mul(hn::Set(d, factor), s[r]), d, out + r * kColumnBlock + t);
    });
  }
}
template <class T>
void tile_powers(int rows, int columns, T q, T factor, T* out) {
  if (rows == kTileRows) return powers_of_rows<kTileRows>(columns, q, factor, out);
  for (int r = 0; r < rows; ++r) powers_of_rows<1>(columns, q, factor, out + r * kColumnBlock);
}

template <class T>
void tile_costs(const TileArgs<T>& args, std::int64_t i0, int rows, std::int64_t j0, int columns,
                T* out) {
  const hn::CappedTag<T, kPanel> d;
  using V = hn::Vec<decltype(d)>;
  const auto& p = args.pairs;
  const V scale = hn::Set(d, p.scale);
  switch (p.form) {
    case Form::matrix:
      return matrix_costs(p, i0, rows, j0, columns, out);
    case Form::dot:
      sweep<true>(p, i0, rows, j0, columns, out);
      return transform(rows, columns, out,
                       [&](V dot, int, int) HWY_ATTR { return hn::Neg(hn::Mul(scale, dot)); });
    case Form::squared:
      if (p.rows.norms) {
        sweep<true>(p, i0, rows, j0, columns, out);
        return transform(rows, columns, out, [&](V dot, int r, int t) HWY_ATTR {
          const V x2 = hn::Set(d, p.rows.norms[i0 + r]), y2 = hn::Load(d, p.cols.norms + j0 + t);
          return hn::Mul(scale, hn::MulAdd(hn::Set(d, T(-2)), dot, hn::Add(x2, y2)));
        });
      }
      sweep<false>(p, i0, rows, j0, columns, out);
      if (p.scale == 1) return;
      return transform(rows, columns, out,
                       [&](V s, int, int) HWY_ATTR { return hn::Mul(scale, s); });
    case Form::distance:
      sweep<false>(p, i0, rows, j0, columns, out);
      return transform(rows, columns, out,
                       [&](V s, int, int) HWY_ATTR { return hn::Mul(scale, hn::Sqrt(s)); });
    case Form::power:
      sweep<false>(p, i0, rows, j0, columns, out);
      return tile_powers(rows, columns, p.power / 2, p.scale, out);
  }
}

template <class T>
void tile_slopes(const TileArgs<T>& args, std::int64_t i0, int rows, std::int64_t j0, int columns,
                 T* out) {
  const hn::CappedTag<T, kPanel> d;
  using V = hn::Vec<decltype(d)>;
  const auto& p = args.pairs;
  if (p.form == Form::squared) {
    for (int r = 0; r < rows; ++r) std::fill_n(out + r * kColumnBlock, columns, 2 * p.scale);
    return;
  }
  sweep<false>(p, i0, rows, j0, columns, out);
  if (p.form == Form::distance) {
    const V scale = hn::Set(d, p.scale);
    return transform(rows, columns, out, [&](V s, int, int) HWY_ATTR {
      return hn::IfThenElseZero(hn::Gt(s, hn::Zero(d)), hn::Div(scale, hn::Sqrt(s)));
    });
  }
  tile_powers(rows, columns, p.power / 2 - 1, p.scale * p.power, out);
}

// What is added to the scores of row i: -inf, so that every weight is 0, where it is not finite.
template <class T>
T shift_of(const TileArgs<T>& args, std::int64_t i) {
  return std::isfinite(args.shift[i]) ? args.shift[i] : -std::numeric_limits<T>::infinity();
}

// From costs (SCORES false) or scores. h - c first: the shift restores what is small exactly where
// the weight matters.
template <bool SCORES, int R, class T>
HWY_INLINE void weights_of_rows(const TileArgs<T>& args, const ExpSum<T>& exponentials,
                                std::int64_t i0, std::int64_t j0, int columns, const T* from,
                                T* out) {
  constexpr Tag<T> d;
  T shift[R];
  for (int r = 0; r < R; ++r) shift[r] = shift_of(args, i0 + r);
  for (int t = 0; t < columns; t += kLanes<T>) {
    hn::Vec<Tag<T>> z[R];
    unrolled<R>([&](int r) MONGE_LAMBDA {
      z[r] = hn::Load(d, from + r * kColumnBlock + t);
      if constexpr (!SCORES) z[r] = hn::Sub(hn::LoadU(d, args.h + j0 + t), z[r]);
      z[r] = hn::Add(z[r], hn::Set(d, shift[r]));
    });
    exponentials.weights(z, [&](int r, hn::Vec<Tag<T>> w)
                                MONGE_LAMBDA { hn::Store(w, d, out + r * kColumnBlock + t); });
  }
}

template <bool SCORES, class T>
void tile_weights_of(const TileArgs<T>& args, std::int64_t i0, int rows, std::int64_t j0,
                     int columns, const T* from, T* out) {
  const ExpSum<T> exponentials(Exponent<T>(args.eps, T(1)).k);
  if (rows == kTileRows)
    return weights_of_rows<SCORES, kTileRows>(args, exponentials, i0, j0, columns, from, out);
  for (int r = 0; r < rows; ++r)
    weights_of_rows<SCORES, 1>(args, exponentials, i0 + r, j0, columns, from + r * kColumnBlock,
                               out + r * kColumnBlock);
}

// Scores or weights of costs that never reach the tile, R rows.
template <bool WEIGHTS, int R, class Scores, class T>
HWY_NOINLINE void direct_tile(const TileArgs<T>& args, std::int64_t i0, std::int64_t j0,
                              int columns, T* out) {
  constexpr Tag<T> d;
  const auto& p = args.pairs;
  const Scores scores(p, i0, R, j0);
  const ExpSum<T> exponentials(Exponent<T>(args.eps, p.scale).k);
  T shift[R] = {};
  if constexpr (WEIGHTS)
    for (int r = 0; r < R; ++r) shift[r] = shift_of(args, i0 + r) / p.scale;
  const auto inverse = hn::Set(d, 1 / p.scale), scale = hn::Set(d, p.scale);
  for (int t = 0; t < columns; t += kLanes<T>) {
    hn::Vec<Tag<T>> z[R];
    scores.at(t, hn::Mul(hn::LoadU(d, args.h + j0 + t), inverse), z);
    const auto store = [&](int r, hn::Vec<Tag<T>> value)
                           MONGE_LAMBDA { hn::Store(value, d, out + r * kColumnBlock + t); };
    if constexpr (WEIGHTS) {
      unrolled<R>([&](int r) MONGE_LAMBDA { z[r] = hn::Add(z[r], hn::Set(d, shift[r])); });
      exponentials.weights(z, store);
    } else {
      unrolled<R>([&](int r) MONGE_LAMBDA { store(r, hn::Mul(z[r], scale)); });
    }
  }
}

template <bool WEIGHTS, int R, class T>
bool direct_rows(const TileArgs<T>& args, std::int64_t i0, std::int64_t j0, int columns, T* out) {
  return with_direct_scores<R>(args.pairs, [&]<class Scores>(ScoresAre<Scores>) HWY_ATTR {
    direct_tile<WEIGHTS, R, Scores>(args, i0, j0, columns, out);
  });
}

template <bool WEIGHTS, class T>
bool direct_tiles(const TileArgs<T>& args, std::int64_t i0, int rows, std::int64_t j0, int columns,
                  T* out) {
  if (!is_direct(args.pairs)) return false;
  if (rows == kTileRows && i0 % kTileRows == 0)
    return direct_rows<WEIGHTS, kTileRows>(args, i0, j0, columns, out);
  for (int r = 0; r < rows; ++r)
    direct_rows<WEIGHTS, 1>(args, i0 + r, j0, columns, out + r * kColumnBlock);
  return true;
}

template <class T>
void tile_scores(const TileArgs<T>& args, std::int64_t i0, int rows, std::int64_t j0, int columns,
                 T* out) {
  constexpr Tag<T> d;
  if (direct_tiles<false>(args, i0, rows, j0, columns, out)) return;
  tile_costs(args, i0, rows, j0, columns, out);
  transform(rows, columns, out, [&](hn::Vec<Tag<T>> cost, int, int t) HWY_ATTR {
    return hn::Sub(hn::LoadU(d, args.h + j0 + t), cost);
  });
}

template <class T>
void tile_weights(const TileArgs<T>& args, std::int64_t i0, int rows, std::int64_t j0, int columns,
                  T* out) {
  if (direct_tiles<true>(args, i0, rows, j0, columns, out)) return;
  tile_costs(args, i0, rows, j0, columns, out);
  tile_weights_of<false>(args, i0, rows, j0, columns, out, out);
}
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
