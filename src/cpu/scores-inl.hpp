// Scores h_j - c_ij of a few rows against one vector of columns, in registers: what the sweeps of
// softmin sum and the tiles of weights exponentiate.
#if defined(MONGE_CPU_SCORES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_SCORES_INL
#undef MONGE_CPU_SCORES_INL
#else
#define MONGE_CPU_SCORES_INL
#endif

#include <algorithm>

#include "cpu/pow-inl.hpp"
#include "cpu/tile.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
using kernels::Form;
using kernels::kColumnBlock;
using kernels::kPanel;

inline constexpr int kRows = kTileRows;  // per loaded column vector: 2 or 4 are 10 to 20 % slower

template <class T>
using Tag = hn::CappedTag<T, kPanel>;
template <class T>
inline constexpr int kLanes = static_cast<int>(hn::MaxLanes(Tag<T>()));

// Coordinate k of the rows of a tile stands at x[k * kPanel + r], r < R.
template <class T>
const T* row_coordinates(const kernels::Panels<T>& rows, std::int64_t i) {
  return rows.data + i / kPanel * kPanel * rows.dim + i % kPanel;
}

// Scores are made for R rows from i on, of which `rows` count, against columns from j0 on, in units
// of the costs' scale.

// -|x - y|^2 by direct differences, D known at compile time.
template <int R, int D, class T>
class SquaredScores {
  using V = hn::Vec<Tag<T>>;

 public:
  SquaredScores(const kernels::Pairs<T>& p, std::int64_t i, int rows, std::int64_t j0)
      : y_(p.cols.data + j0 * D) {
    const T* const from = row_coordinates(p.rows, i);
    for (int r = 0; r < R; ++r)
      for (int k = 0; k < D; ++k)
        std::fill_n(x_ + (r * D + k) * kLanes<T>, kLanes<T>,
                    from[k * kPanel + std::min(r, rows - 1)]);
  }

  HWY_INLINE void at(int t, V h, V (&z)[R]) const {
    constexpr Tag<T> d;
    const T* const column = y_ + t / kPanel * kPanel * D + t % kPanel;
    V yk[D];
    unrolled<D>([&](int k) MONGE_LAMBDA { yk[k] = hn::Load(d, column + k * kPanel); });
    unrolled<R>([&](int r) MONGE_LAMBDA {
      z[r] = h;
      unrolled<D>([&](int k) MONGE_LAMBDA {
        const V u = hn::Sub(yk[k], hn::Load(d, x_ + (r * D + k) * kLanes<T>));
        z[r] = hn::NegMulAdd(u, u, z[r]);
      });
    });
  }

 private:
  HWY_ALIGN T x_[R * D * kLanes<T>];  // vector r * D + k holds x_k of row r in every lane
  const T* HWY_RESTRICT y_;
};

// -|x - y| or -|x - y|^power in any dimension.
template <int R, Form FORM, class T>
class DistanceScores {
  using V = hn::Vec<Tag<T>>;

 public:
  DistanceScores(const kernels::Pairs<T>& p, std::int64_t i, int, std::int64_t j0)
      : x_(row_coordinates(p.rows, i)),
        y_(p.cols.data + j0 * p.cols.dim),
        dim_(p.cols.dim),
        power_(p.power) {}

  HWY_INLINE void at(int t, V h, V (&z)[R]) const {
    constexpr Tag<T> d;
    const T* const column = y_ + t / kPanel * kPanel * dim_ + t % kPanel;
    V s[R];
    unrolled<R>([&](int r) MONGE_LAMBDA { s[r] = hn::Zero(d); });
    for (int k = 0; k < dim_; ++k) {
      const V yk = hn::Load(d, column + k * kPanel);
      unrolled<R>([&](int r) MONGE_LAMBDA {  // rows past the last are those of the panel
        const V u = hn::Sub(yk, hn::Set(d, x_[k * kPanel + r]));
        s[r] = hn::MulAdd(u, u, s[r]);
      });
    }
    V costs[R];  // not s: what a call may change would leave the registers in the loop above, too
    unrolled<R>([&](int r)
                    MONGE_LAMBDA { costs[r] = FORM == Form::distance ? hn::Sqrt(s[r]) : s[r]; });
    if constexpr (FORM == Form::power) pow_positive(d, costs, power_ / 2);
    unrolled<R>([&](int r) MONGE_LAMBDA { z[r] = hn::Sub(h, costs[r]); });
  }

 private:
  const T *HWY_RESTRICT x_, *HWY_RESTRICT y_;
  int dim_;
  T power_;
};

template <class S>
struct ScoresAre {
  using type = S;
};

// body(ScoresAre<...>()) where the costs are direct (is_direct); false elsewhere.
template <int R, class T, class Body>
HWY_INLINE bool with_direct_scores(const kernels::Pairs<T>& p, const Body& body) {
  if (!is_direct(p)) return false;
  if (p.form == Form::distance)
    body(ScoresAre<DistanceScores<R, Form::distance, T>>());
  else if (p.form == Form::power)
    body(ScoresAre<DistanceScores<R, Form::power, T>>());
  else if (p.rows.dim == 1)
    body(ScoresAre<SquaredScores<R, 1, T>>());
  else if (p.rows.dim == 2)
    body(ScoresAre<SquaredScores<R, 2, T>>());
  else if (p.rows.dim == 3)
    body(ScoresAre<SquaredScores<R, 3, T>>());
  else
    body(ScoresAre<SquaredScores<R, 4, T>>());
  return true;
}
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
