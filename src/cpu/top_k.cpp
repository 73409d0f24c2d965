// top_k and select: each tile is compared with a threshold per row; what passes is rare and handled
// one by one. top_k compares scores, which order a row as its weights do, and needs exponentials of
// the best alone.
#include "kernels/top_k.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/top_k.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "cpu/products-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
// Indices t of w[t] > threshold (OR_EQUAL: >=), ascending, into found; returns how many. NaN
// never passes.
template <bool OR_EQUAL, class T>
int passing(const T* HWY_RESTRICT w, int columns, T threshold, std::int32_t* HWY_RESTRICT found) {
  const hn::CappedTag<T, kPanel> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto limit = hn::Set(d, threshold);
  int count = 0;
  for (int t = 0; t < columns; t += lanes) {
    const auto v = hn::Load(d, w + t);
    const auto mask = OR_EQUAL ? hn::Ge(v, limit) : hn::Gt(v, limit);
    if (HWY_LIKELY(hn::AllFalse(d, mask))) continue;
    std::uint8_t bits[8] = {};
    hn::StoreMaskBits(d, mask, bits);
    for (unsigned rest = bits[0] | static_cast<unsigned>(bits[1]) << 8; rest; rest &= rest - 1)
      found[count++] = t + __builtin_ctz(rest);
  }
  return count;
}

template <class T>
int larger(const T* w, int columns, T threshold, std::int32_t* found) {
  return passing<false>(w, columns, threshold, found);
}
template <class T>
int at_least(const T* w, int columns, T threshold, std::int32_t* found) {
  return passing<true>(w, columns, threshold, found);
}

// out[g] = the largest entry of group g, the groups being parts of w of about `size` entries;
// returns how many there are, at most `columns`.
template <class T>
int largest_of_groups(const T* HWY_RESTRICT w, int columns, int size, T* HWY_RESTRICT out) {
  const hn::CappedTag<T, kPanel> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  int count = 0;
  for (int t = 0; t < columns; t += size * lanes, count += lanes) {
    auto top = hn::Load(d, w + t);
    for (int v = 1; v < size && t + v * lanes < columns; ++v)
      top = hn::Max(top, hn::Load(d, w + t + v * lanes));
    hn::Store(top, d, out + count);
  }
  return count;
}

// sums[r] += sum_t w[r][t], one column block in T.
template <class T>
void add_sums(const T* w, int rows, int columns, double* sums) {
  const hn::CappedTag<T, kPanel> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  for (int r = 0; r < rows; ++r) {
    auto even = hn::Zero(d), odd = hn::Zero(d);
    int t = 0;
    for (; t + 2 * lanes <= columns; t += 2 * lanes) {
      even = hn::Add(even, hn::Load(d, w + r * kColumnBlock + t));
      odd = hn::Add(odd, hn::Load(d, w + r * kColumnBlock + t + lanes));
    }
    if (t < columns) even = hn::Add(even, hn::Load(d, w + r * kColumnBlock + t));
    sums[r] += sum_of_lanes(d, hn::Add(even, odd));
  }
}

// tops[r] = max(tops[r], max_t scores[r][t])
template <class T>
void raise_tops(const T* scores, int rows, int columns, T* tops) {
  const hn::CappedTag<T, kPanel> d;
  for (int r = 0; r < rows; ++r) {
    auto top = hn::Set(d, tops[r]);
    for (int t = 0; t < columns; t += static_cast<int>(hn::Lanes(d)))
      top = hn::Max(top, hn::Load(d, scores + r * kColumnBlock + t));
    tops[r] = hn::GetLane(hn::MaxOfLanes(d, top));
  }
}
}  // namespace
}  // namespace monge::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/sweep.hpp"

namespace monge::cpu {
namespace {
/// The k best of a row so far, by score.
template <class T>
class Best {
 public:
  void reset(int k) {
    k_ = k;
    threshold_ = -std::numeric_limits<T>::infinity();
    candidates_.clear();
  }
  /// Only scores above it can be among the best.
  T threshold() const { return threshold_; }
  /// Before anything is added: at least k scores are known to reach `bound`.
  void expect(T bound) { threshold_ = std::nextafter(bound, -std::numeric_limits<T>::infinity()); }
  bool empty() const { return candidates_.empty(); }
  void add(T score, std::int64_t column) {
    if (!(score > threshold_)) return;
    if (static_cast<int>(candidates_.size()) < k_) candidates_.emplace_back();
    auto at = candidates_.end() - 1;
    if (k_ <= 64) {
      for (; at != candidates_.begin() && at[-1].value < score; --at) *at = at[-1];
    } else {
      const auto place = std::partition_point(
          candidates_.begin(), at, [&](const Candidate& one) { return one.value >= score; });
      std::move_backward(place, at, candidates_.end());
      at = place;
    }
    *at = {score, column};
    if (static_cast<int>(candidates_.size()) == k_) threshold_ = candidates_.back().value;
  }
  /// weigh(scores, count) turns scores into weights in place, count <= kColumnBlock at a time. Ties
  /// of weights, whose scores may differ by less than a rounding, go to the lower column.
  template <class Weigh>
  void write(std::int64_t* columns, T* weights, const Weigh& weigh) {
    alignas(64) T some[kernels::kColumnBlock] = {};
    const std::int64_t size = static_cast<std::int64_t>(candidates_.size());
    for (std::int64_t first = 0; first < size; first += kernels::kColumnBlock) {
      const std::int64_t count = std::min<std::int64_t>(size - first, kernels::kColumnBlock);
      for (std::int64_t at = 0; at < count; ++at) some[at] = candidates_[first + at].value;
      weigh(some, static_cast<int>(count));
      for (std::int64_t at = 0; at < count; ++at) candidates_[first + at].value = some[at];
    }
    std::sort(candidates_.begin(), candidates_.end(), before);
    for (std::int64_t at = 0; at < k_; ++at) {
      const bool any = at < size && candidates_[at].value > 0;
      columns[at] = any ? candidates_[at].column : -1;
      weights[at] = any ? candidates_[at].value : T(0);
    }
  }

 private:
  struct Candidate {
    T value;
    std::int64_t column;
  };
  static bool before(const Candidate& x, const Candidate& y) {
    return x.value > y.value || (x.value == y.value && x.column < y.column);
  }
  int k_ = 0;
  T threshold_;
  std::vector<Candidate> candidates_;  // by falling score, ties by rising column
};

/// A number that at least k of a row's first scores reach, so that few more than k of them become
/// candidates: the k-th largest of the maxima of 2 k groups. Where k is too large for that, the
/// least of all.
template <class T, class Largest>
T first_bound(const T* scores, int columns, int k, const Largest& largest) {
  constexpr T kLeast = std::numeric_limits<T>::lowest();
  alignas(64) T tops[kernels::kColumnBlock];
  const int size = static_cast<int>(columns / (2 * std::int64_t{k}));
  if (size < 2) return kLeast;
  const int count = largest(scores, columns, size, tops);
  if (count < k) return kLeast;
  std::nth_element(tops, tops + (k - 1), tops + count, std::greater<>());
  return tops[k - 1];
}

/// The softmin of one row whose shift is no good: first the largest score, then the sum relative
/// to it. out[i] serves as the row's shift in between.
template <class T, class Tops, class Sums>
void softmin_with_maximum(const kernels::TopKArgs<T>& a, const TileFunctions<T>& tiles,
                          const Tops& tops, const Sums& sums, std::int64_t i) {
  const TileArgs<T> args{a.pairs, a.h, a.softmin, a.eps};
  const std::int64_t block = i / kernels::kRowBlock;
  alignas(64) T tile[kernels::kColumnBlock];
  T top = -std::numeric_limits<T>::infinity();
  for_each_column_block(a.pairs, block, [&](std::int64_t j0, int columns) {
    tiles.scores(args, i, 1, j0, columns, tile);
    tops(tile, 1, columns, &top);
  });
  a.softmin[i] = -top;
  if (!std::isfinite(top)) return;
  double sum = 0;
  for_each_column_block(a.pairs, block, [&](std::int64_t j0, int columns) {
    tiles.weights(args, i, 1, j0, columns, tile);
    sums(tile, 1, columns, &sum);
  });
  a.softmin[i] = static_cast<T>(-static_cast<double>(top) - a.eps * std::log(sum));
}
}  // namespace
}  // namespace monge::cpu

namespace monge::kernels::cpu {
using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers

template <class T>
void top_k(const TopKArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  const auto tiles = tile_functions<T>();
  const auto find = MONGE_PICK(larger<T>);
  const auto largest = MONGE_PICK(largest_of_groups<T>);
  const auto add = MONGE_PICK(add_sums<T>);
  const auto raise = MONGE_PICK(raise_tops<T>);
  const TileArgs<T> args{p, a.h, a.shift, a.eps};
  parallel_for(row_blocks(p), exec, [&](std::int64_t block, int) {
    const RowRange range = rows_of(p, block);
    std::vector<Best<T>> best(range.last - range.first);
    for (auto& row : best) row.reset(a.k);
    double sums[kRowBlock] = {};
    alignas(64) T scores[kTileRows * kColumnBlock], w[kTileRows * kColumnBlock];
    std::int32_t found[kColumnBlock];
    for_each_column_block(p, block, [&](std::int64_t j0, int columns) {
      for_each_row_tile(range, [&](std::int64_t i0, int rows) {
        tiles.scores(args, i0, rows, j0, columns, scores);
        if (a.softmin) {
          tiles.weights_of_scores(args, i0, rows, j0, columns, scores, w);
          add(w, rows, columns, sums + (i0 - range.first));
        }
        for (int r = 0; r < rows; ++r) {
          Best<T>& row = best[i0 - range.first + r];
          const T* const of_row = scores + r * kColumnBlock;
          if (row.empty()) row.expect(first_bound(of_row, columns, a.k, largest));
          const int count = find(of_row, columns, row.threshold(), found);
          for (int at = 0; at < count; ++at) row.add(of_row[found[at]], j0 + found[at]);
        }
      });
    });
    for (std::int64_t i = range.first; i < range.last; ++i) {
      best[i - range.first].write(
          a.columns + i * a.k, a.weights + i * a.k, [&](T* of_row, int count) {
            tiles.weights_of_scores(args, i, 1, 0, static_cast<int>(padded(count)), of_row, of_row);
          });
      if (!a.softmin) continue;
      const double sum = sums[i - range.first];
      if (sum >= 1e-18 && sum <= 1e18)
        a.softmin[i] = static_cast<T>(a.shift[i] - a.eps * std::log(sum));
      else
        softmin_with_maximum(a, tiles, raise, add, i);
    }
  });
}

template <class T>
void select(const SelectArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  const auto tiles = tile_functions<T>();
  const auto find = MONGE_PICK(at_least<T>);
  const TileArgs<T> args{p, a.h, a.shift, a.eps};
  parallel_for(row_blocks(p), exec, [&](std::int64_t block, int) {
    const RowRange range = rows_of(p, block);
    std::int64_t counts[kRowBlock] = {};
    alignas(64) T w[kTileRows * kColumnBlock];
    std::int32_t found[kColumnBlock];
    for_each_column_block(p, block, [&](std::int64_t j0, int columns) {
      for_each_row_tile(range, [&](std::int64_t i0, int rows) {
        tiles.weights(args, i0, rows, j0, columns, w);
        for (int r = 0; r < rows; ++r) {
          const std::int64_t i = i0 + r;
          if (std::isinf(a.threshold[i])) continue;
          const T* const weights = w + r * kColumnBlock;
          std::int64_t& count = counts[i - range.first];
          const int more = find(weights, columns, a.threshold[i], found);
          for (int at = 0; a.columns && at < more; ++at) {
            a.columns[a.offsets[i] + count + at] = j0 + found[at];
            a.weights[a.offsets[i] + count + at] = weights[found[at]];
          }
          count += more;
        }
      });
    });
    if (!a.columns) std::copy_n(counts, range.last - range.first, a.counts + range.first);
  });
}
template void top_k<float>(const TopKArgs<float>&, Exec&);
template void top_k<double>(const TopKArgs<double>&, Exec&);
template void select<float>(const SelectArgs<float>&, Exec&);
template void select<double>(const SelectArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
#endif
