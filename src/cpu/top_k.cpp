// top_k and select: what of a tile exceeds its row's threshold goes to a list, without a branch
// that depends on an entry. top_k compares scores, which order a row as its weights do: a list that
// is long is cut to the k largest, which raises the threshold, and exponentials are those of the
// last k alone.
#include "kernels/top_k.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "cpu/top_k.cpp"
#include "cpu/target.hpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include <bit>
#include <limits>

#include "cpu/products-inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace monge::cpu::HWY_NAMESPACE {
namespace {
template <class T>  // of an entry in a tile or list, as wide as the entry: one mask moves both
using Place = hwy::MakeSigned<T>;

// The lanes of `place` where `mask` is set, first. Not Highway's: compilers copy its tables at each
// call.
#if HWY_TARGET == HWY_AVX3
template <class V, class M>
HWY_INLINE V compress(V place, M mask) {
  if constexpr (sizeof(hn::TFromV<V>) == 4)
    return V{_mm512_maskz_compress_epi32(mask.raw, place.raw)};
  else
    return V{_mm512_maskz_compress_epi64(mask.raw, place.raw)};
}
#elif HWY_TARGET == HWY_AVX2
// Byte b of entry `bits`: which of them is the b-th that is set.
struct SetBits {
  std::uint64_t of[256];
  constexpr SetBits() : of() {
    for (unsigned bits = 0; bits < 256; ++bits)
      for (unsigned bit = 0, at = 0; bit < 8; ++bit)
        if (bits >> bit & 1) of[bits] |= std::uint64_t{bit} << 8 * at++;
  }
};
constexpr SetBits kSetBits;
template <class V, class M>
HWY_INLINE V compress(V place, M mask) {  // of halves, where a lane has two
  const auto bits = _mm256_movemask_ps(_mm256_castsi256_ps(
      hn::VecFromMask(hn::DFromV<V>(), hn::RebindMask(hn::DFromV<V>(), mask)).raw));
  const auto from = _mm_cvtsi64_si128(static_cast<long long>(kSetBits.of[bits]));
  return V{_mm256_permutevar8x32_epi32(place.raw, _mm256_cvtepu8_epi32(from))};
}
#endif

// Where the entries above `threshold` are, ascending; returns how many. NaN never passes. Whole
// vectors are written.
template <class T>
int passing(const T* HWY_RESTRICT v, int count, T threshold, Place<T>* HWY_RESTRICT places) {
  int passed = 0;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  const hn::CappedTag<T, kPanel> d;
  const hn::RebindToSigned<decltype(d)> di;
  const int lanes = static_cast<int>(hn::Lanes(d));
  const auto limit = hn::Set(d, threshold);
  auto place = hn::Iota(di, 0);
  for (int t = 0; t < count; t += lanes) {
    const auto above = hn::Gt(hn::Load(d, v + t), limit);
    hn::StoreU(compress(place, above), di, places + passed);
    passed += static_cast<int>(hn::CountTrue(d, above));
    place = hn::Add(place, hn::Set(di, lanes));
  }
#else
  for (int t = 0; t < count; ++t) {
    places[passed] = t;
    passed += v[t] > threshold;
  }
#endif
  return passed;
}

// Numbers as integers of the same order, and back.
template <class T>
Place<T> ordered(Place<T> bits) {
  return bits ^ (bits >> (8 * sizeof(T) - 1) & std::numeric_limits<Place<T>>::max());
}

// A number that exactly k of the entries reach, or where ties forbid that the largest that more do;
// 1 <= k <= count, a number of whole vectors.
template <class T>
T kth_largest(const T* HWY_RESTRICT v, int count, int k) {
  const hn::CappedTag<T, kPanel> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  auto least = hn::Load(d, v), most = least;
  for (int t = lanes; t < count; t += lanes) {
    least = hn::Min(least, hn::Load(d, v + t));
    most = hn::Max(most, hn::Load(d, v + t));
  }
  const auto key = [](auto value) {
    return ordered<T>(std::bit_cast<Place<T>>(hn::GetLane(value)));
  };
  Place<T> low = key(hn::MinOfLanes(d, least));      // reached by k or more
  Place<T> high = key(hn::MaxOfLanes(d, most)) + 1;  // by fewer
  for (;;) {
    const Place<T> middle = (low & high) + ((low ^ high) >> 1);
    const T bound = std::bit_cast<T>(ordered<T>(middle));
    if (middle == low) return bound;
    const auto limit = hn::Set(d, bound);
    int reached = 0;
    for (int t = 0; t < count; t += lanes)
      reached += static_cast<int>(hn::CountTrue(d, hn::Ge(hn::Load(d, v + t), limit)));
    if (reached == k) return bound;
    (reached > k ? low : high) = middle;
  }
}

// ranks[at] = how many entries stand before entry `at` in falling order, ties by place. Behind
// `count` v is negative up to a whole vector, before it never. Quadratic, but nothing branches.
template <class T>
void rank(const T* HWY_RESTRICT v, int count, std::int32_t* HWY_RESTRICT ranks) {
  const hn::CappedTag<T, kPanel> d;
  const int lanes = static_cast<int>(hn::Lanes(d));
  for (int at = 0; at < count; ++at) {
    const auto value = hn::Set(d, v[at]);
    const int own = at / lanes * lanes;
    const auto beside = hn::Load(d, v + own);
    const auto first = hn::And(hn::FirstN(d, at - own), hn::Ge(beside, value));
    std::size_t before = hn::CountTrue(d, hn::Or(hn::Gt(beside, value), first));
    for (int t = 0; t < own; t += lanes)
      before += hn::CountTrue(d, hn::Ge(hn::Load(d, v + t), value));
    for (int t = own + lanes; t < count; t += lanes)
      before += hn::CountTrue(d, hn::Gt(hn::Load(d, v + t), value));
    ranks[at] = static_cast<std::int32_t>(before);
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
#include <numeric>
#include <vector>

#include "cpu/parallel.hpp"
#include "cpu/sweep.hpp"

namespace monge::cpu {
namespace {
using HWY_NAMESPACE::Place;
constexpr int kFound = kernels::kColumnBlock + kernels::kPanel;  // of a tile's row, whole vectors

template <class T>
struct ListFunctions {
  int (*passing)(const T* v, int count, T threshold, Place<T>* places);
  T (*kth_largest)(const T* v, int count, int k);
  void (*rank)(const T* v, int count, std::int32_t* ranks);
};

/// What a thread keeps of the rows of a block.
template <class T>
struct Lists {
  ListFunctions<T> functions;
  int k;
  std::int64_t longest, room;  // of a list that is not cut; with a column block beyond it
  Buffer<T> scores;
  Buffer<std::int64_t> columns;
  Buffer<Place<T>> places;
  Buffer<std::int32_t> ranks;

  Lists(const ListFunctions<T>& functions, int k)
      : functions(functions),
        k(k),
        longest(2 * std::int64_t{k} + 64),
        room(kernels::padded(longest) + kFound),
        scores(kernels::kRowBlock * room),
        columns(kernels::kRowBlock * room),
        places(room),
        ranks(room) {}
};

/// The k best of a row at the last cut, and what has passed the threshold since; by column.
template <class T>
class Best {
  static constexpr T kInfinity = std::numeric_limits<T>::infinity();

 public:
  Best(Lists<T>& lists, std::int64_t row)
      : lists_(lists),
        scores_(&lists.scores[row * lists.room]),
        columns_(&lists.columns[row * lists.room]) {}

  /// A tile's row of scores.
  void add(const T* row, std::int64_t j0, int count) {
    Place<T>* const places = lists_.places.data();
    const int passed = lists_.functions.passing(row, count, threshold_, places);
    for (int at = 0; at < passed; ++at) {
      scores_[size_ + at] = row[places[at]];
      columns_[size_ + at] = j0 + places[at];
    }
    size_ += passed;
    if (size_ > lists_.longest) cut();
  }

  /// The best, falling, ties of weights (whose scores may differ by less than a rounding) by
  /// column. weigh(scores, count) turns whole vectors of scores into weights, a column block at
  /// most.
  template <class Weigh>
  void write(int k, std::int64_t* columns, T* weights, const Weigh& weigh) {
    cut();
    for (std::int64_t first = 0, end = pad(-kInfinity); first < end; first += kernels::kColumnBlock)
      weigh(scores_ + first,
            static_cast<int>(std::min<std::int64_t>(end - first, kernels::kColumnBlock)));
    std::fill_n(columns, k, -1);
    std::fill_n(weights, k, T(0));
    const std::int32_t* const ranks = rank();
    for (int at = 0; at < size_; ++at) {
      if (!(scores_[at] > 0)) continue;
      columns[ranks[at]] = columns_[at];
      weights[ranks[at]] = scores_[at];
    }
  }

 private:
  void cut() {
    const int k = lists_.k;
    if (size_ <= k) return;
    const int count = pad(-kInfinity);
    Place<T>* const places = lists_.places.data();
    threshold_ = lists_.functions.kth_largest(scores_, count, k);
    size_ =
        lists_.functions.passing(scores_, count, std::nextafter(threshold_, -kInfinity), places);
    for (int at = 0; at < size_; ++at) {
      scores_[at] = scores_[places[at]];
      columns_[at] = columns_[places[at]];
    }
    if (size_ == k) return;
    auto ties = std::count(scores_, scores_ + size_, threshold_) - (size_ - k);  // that stay
    int kept = 0;
    for (int at = 0; at < size_; ++at) {
      if (scores_[at] == threshold_ && ties-- <= 0) continue;
      scores_[kept] = scores_[at];
      columns_[kept++] = columns_[at];
    }
    size_ = kept;
  }

  const std::int32_t* rank() {
    std::int32_t* const ranks = lists_.ranks.data();
    pad(-1);
    if (size_ <= 256) {
      lists_.functions.rank(scores_, size_, ranks);
    } else {
      std::vector<std::int32_t> order(size_);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](auto x, auto y) { return scores_[x] > scores_[y]; });
      for (int at = 0; at < size_; ++at) ranks[order[at]] = at;
    }
    return ranks;
  }

  /// Fills the last vector and returns the size with it.
  int pad(T value) {
    const int end = static_cast<int>(kernels::padded(size_));
    std::fill(scores_ + size_, scores_ + end, value);
    return end;
  }

  Lists<T>& lists_;
  T* scores_;
  std::int64_t* columns_;
  T threshold_ = -kInfinity;  // only scores above it can be among the best
  int size_ = 0;
};

/// The softmin of one row whose shift is no good: first the largest score, then the sum relative
/// to it. shifts[i] is the row's own in between.
template <class T, class Tops, class Sums>
void softmin_with_maximum(const kernels::TopKArgs<T>& a, const TileFunctions<T>& tiles,
                          const Tops& tops, const Sums& sums, T* shifts, std::int64_t i) {
  const TileArgs<T> args{a.pairs, a.h, shifts, a.eps};
  const std::int64_t block = i / kernels::kRowBlock;
  alignas(64) T tile[kernels::kColumnBlock];
  T top = -std::numeric_limits<T>::infinity();
  for_each_column_block(a.pairs, block, [&](std::int64_t j0, int columns) {
    tiles.scores(args, i, 1, j0, columns, tile);
    tops(tile, 1, columns, &top);
  });
  a.softmin[i] = shifts[i] = -top;
  if (!std::isfinite(top)) return;
  double sum = 0;
  for_each_column_block(a.pairs, block, [&](std::int64_t j0, int columns) {
    tiles.weights(args, i, 1, j0, columns, tile);
    sums(tile, 1, columns, &sum);
  });
  a.softmin[i] = -static_cast<double>(top) - a.eps * std::log(sum);
}
}  // namespace
}  // namespace monge::cpu

namespace monge::kernels::cpu {
using namespace monge::cpu;  // NOLINT(google-build-using-namespace): the backend's own helpers

template <class T>
void top_k(const TopKArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  const auto tiles = tile_functions<T>();
  const auto add = MONGE_PICK(add_sums<T>);
  const auto raise = MONGE_PICK(raise_tops<T>);
  const TileArgs<T> args{p, a.h, a.shift, a.eps};
  const ListFunctions<T> functions{MONGE_PICK(passing<T>), MONGE_PICK(kth_largest<T>),
                                   MONGE_PICK(rank<T>)};
  std::vector<Lists<T>> lists;
  Buffer<T> shifts(a.softmin ? p.n : 0);
  const int k = static_cast<int>(std::min<std::int64_t>(a.k, p.m));
  for (int thread = thread_count(exec); thread > 0; --thread) lists.emplace_back(functions, k);
  parallel_for(row_blocks(p), exec, [&](std::int64_t block, int thread) {
    const RowRange range = rows_of(p, block);
    std::vector<Best<T>> best;
    for (std::int64_t r = 0; r < range.last - range.first; ++r) best.emplace_back(lists[thread], r);
    double sums[kRowBlock] = {};
    alignas(64) T scores[kTileRows * kColumnBlock], w[kTileRows * kColumnBlock];
    for_each_column_block(p, block, [&](std::int64_t j0, int columns) {
      for_each_row_tile(range, [&](std::int64_t i0, int rows) {
        tiles.scores(args, i0, rows, j0, columns, scores);
        if (a.softmin) {
          tiles.weights_of_scores(args, i0, rows, j0, columns, scores, w);
          add(w, rows, columns, sums + (i0 - range.first));
        }
        for (int r = 0; r < rows; ++r)
          best[i0 - range.first + r].add(scores + r * kColumnBlock, j0, columns);
      });
    });
    for (std::int64_t i = range.first; i < range.last; ++i) {
      best[i - range.first].write(a.k, a.columns + i * a.k, a.weights + i * a.k,
                                  [&](T* of_row, int count) {
                                    tiles.weights_of_scores(args, i, 1, 0, count, of_row, of_row);
                                  });
      if (!a.softmin) continue;
      const double sum = sums[i - range.first];
      if (sum >= 1e-18 && sum <= 1e18)
        a.softmin[i] = a.shift[i] - a.eps * std::log(sum);
      else
        softmin_with_maximum(a, tiles, raise, add, shifts.data(), i);
    }
  });
}

template <class T>
void select(const SelectArgs<T>& a, Exec& exec) {
  const auto& p = a.pairs;
  const auto tiles = tile_functions<T>();
  const auto find = MONGE_PICK(passing<T>);
  const TileArgs<T> args{p, a.h, a.shift, a.eps};
  parallel_for(row_blocks(p), exec, [&](std::int64_t block, int) {
    const RowRange range = rows_of(p, block);
    std::int64_t counts[kRowBlock] = {};
    alignas(64) T w[kTileRows * kColumnBlock];
    Place<T> places[kFound];
    for_each_column_block(p, block, [&](std::int64_t j0, int columns) {
      for_each_row_tile(range, [&](std::int64_t i0, int rows) {
        tiles.weights(args, i0, rows, j0, columns, w);
        for (int r = 0; r < rows; ++r) {
          const std::int64_t i = i0 + r;
          if (std::isinf(a.threshold[i])) continue;
          std::int64_t& count = counts[i - range.first];
          const T* const weights = w + r * kColumnBlock;
          const int more = find(weights, columns, std::nextafter(a.threshold[i], T(0)), places);
          for (int at = 0; a.columns && at < more; ++at) {
            a.columns[a.offsets[i] + count + at] = j0 + places[at];
            a.weights[a.offsets[i] + count + at] = weights[places[at]];
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
