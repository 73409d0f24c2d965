// Scores h_j - c_ij of a few rows against one vector of columns, in registers: what the sweeps of
// softmin sum and the tiles of weights exponentiate.
#if defined(MONGE_CPU_SCORES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef MONGE_CPU_SCORES_INL
#undef MONGE_CPU_SCORES_INL
#else
#define MONGE_CPU_SCORES_INL
#endif

#include <algorithm>
#include <type_traits>

#include "cpu/exp_sum-inl.hpp"
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

// x_k of R rows in every lane, vector r * D + k; rows past the last repeat it.
template <int R, int D, class T>
HWY_INLINE void broadcast_rows(const T* from, int rows, T* out) {
  for (int r = 0; r < R; ++r)
    for (int k = 0; k < D; ++k)
      std::fill_n(out + (r * D + k) * kLanes<T>, kLanes<T>,
                  from[k * kPanel + std::min(r, rows - 1)]);
}

// By direct differences, D known at compile time, in units of the costs' scale.
template <int D, Form FORM, class T>
struct DirectScores {
  using V = hn::Vec<Tag<T>>;
  const T* HWY_RESTRICT x;  // of broadcast_rows
  const T* HWY_RESTRICT y;  // panels, from the first column on
  T power;

  template <int R>
  HWY_INLINE void at(int t, V h, V (&z)[R]) const {
    constexpr Tag<T> d;
    const T* const column = y + t / kPanel * kPanel * D + t % kPanel;
    V yk[D];
    unrolled<D>([&](int k) MONGE_LAMBDA { yk[k] = hn::Load(d, column + k * kPanel); });
    const auto difference = [&](int r, int k) MONGE_LAMBDA {
      return hn::Sub(yk[k], hn::Load(d, x + (r * D + k) * kLanes<T>));
    };
    if constexpr (FORM == Form::squared) {
      unrolled<R>([&](int r) MONGE_LAMBDA {
        z[r] = h;
        unrolled<D>([&](int k) MONGE_LAMBDA {
          const V u = difference(r, k);
          z[r] = hn::NegMulAdd(u, u, z[r]);
        });
      });
    } else {
      constexpr int kStage = FORM == Form::power || R < 4 ? R : 4;
      unrolled<R / kStage>([&](int stage) MONGE_LAMBDA {
        V s[kStage];
        unrolled<kStage>([&](int at) MONGE_LAMBDA {
          const int r = stage * kStage + at;
          const V first = difference(r, 0);
          s[at] = hn::Mul(first, first);
          unrolled<D - 1>([&](int k) MONGE_LAMBDA {
            const V u = difference(r, k + 1);
            s[at] = hn::MulAdd(u, u, s[at]);
          });
        });
        if constexpr (FORM == Form::distance)
          unrolled<kStage>([&](int at) MONGE_LAMBDA { s[at] = hn::Sqrt(s[at]); });
        else
          pow_positive(d, s, power / 2);
        unrolled<kStage>([&](int at) MONGE_LAMBDA { z[stage * kStage + at] = hn::Sub(h, s[at]); });
      });
    }
  }
};

// body(dimension, form), compile-time constants, for costs of points that DirectScores computes;
// false for others.
template <class T, class Body>
HWY_INLINE bool with_direct_scores(const kernels::Pairs<T>& p, const Body& body) {
  const auto with_form = [&](auto dimension) HWY_ATTR {
    switch (p.form) {
      case Form::distance:
        return body(dimension, std::integral_constant<Form, Form::distance>());
      case Form::power:
        return body(dimension, std::integral_constant<Form, Form::power>());
      default:
        return body(dimension, std::integral_constant<Form, Form::squared>());
    }
  };
  switch (direct_dimension(p)) {
    case 1:
      with_form(std::integral_constant<int, 1>());
      return true;
    case 2:
      with_form(std::integral_constant<int, 2>());
      return true;
    case 3:
      with_form(std::integral_constant<int, 3>());
      return true;
    case 4:
      with_form(std::integral_constant<int, 4>());
      return true;
    default:
      return false;
  }
}
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
