// Forms absorbed kernels tile by tile, and spreads their products over threads. What is split where
// depends on shape alone.
#include "kernels/absorbed.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <type_traits>
#include <vector>

#include "cpu/absorbed_sweep.hpp"
#include "cpu/chunks.hpp"
#include "cpu/softmin_sweep.hpp"
#include "cpu/sweep.hpp"
#include "cpu/target.hpp"
#include "cpu/vectors.hpp"
#include "monge/core/buffer.hpp"

namespace monge::kernels::cpu {
namespace {
constexpr double kSmallestSum = 1e-18, kLargestSum = 1e18;
constexpr double kLog2 = 0.69314718055994530942;

/// The points of float panels in double, their norms from the coordinates as they are.
struct WidePanels {
  Buffer<double> data, norms;
  Panels<double> panels;

  explicit WidePanels(const Panels<float>& from)
      : data(padded(from.count) * from.dim), norms(from.norms ? padded(from.count) : 0) {
    std::copy_n(from.data, data.size(), data.begin());
    panels = {data.data(), from.norms ? norms.data() : nullptr, from.count, from.dim};
    if (from.norms) monge::cpu::norms(panels, norms.data());
  }
};

/// Tiles exp((f_i + g_j - c_ij) / eps) in double of pairs in T.
template <class T>
class WideTiles {
 public:
  template <class K>
  explicit WideTiles(const AbsorbArgs<T, K>& args)
      : from_(args.pairs), rows_(wide(args.pairs.rows)), cols_(wide(args.pairs.cols)) {
    args_.h = args.g;
    args_.shift = args.f;
    args_.eps = args.eps;
    auto& p = args_.pairs;
    if constexpr (std::is_same_v<T, double>) {
      p = from_;
    } else {
      p.form = from_.form;
      p.scale = from_.scale;
      p.power = from_.power;
      p.n = from_.n;
      p.m = from_.m;
      p.rows = rows_.panels;
      p.cols = cols_.panels;
    }
  }

  void weights(std::int64_t i0, int rows, std::int64_t j0, int columns, double* out) const {
    if constexpr (std::is_same_v<T, float>) {
      if (from_.form == Form::matrix) {
        alignas(64) float costs[monge::cpu::kTileRows * kColumnBlock];
        narrow_.costs({.pairs = from_}, i0, rows, j0, columns, costs);
        for (int r = 0; r < rows; ++r)
          std::copy_n(costs + r * kColumnBlock, columns, out + r * kColumnBlock);
        return tiles_.weights_of_costs(args_, i0, rows, j0, columns, out, out);
      }
    }
    tiles_.weights(args_, i0, rows, j0, columns, out);
  }

 private:
  struct Nothing {};
  using Wide = std::conditional_t<std::is_same_v<T, float>, WidePanels, Nothing>;
  static Wide wide([[maybe_unused]] const Panels<T>& panels) {
    if constexpr (std::is_same_v<T, float>)
      return Wide(panels);
    else
      return {};
  }

  const Pairs<T>& from_;
  const Wide rows_, cols_;
  monge::cpu::TileArgs<double> args_;
  const monge::cpu::TileFunctions<double> tiles_ = monge::cpu::tile_functions<double>();
  const monge::cpu::TileFunctions<T> narrow_ = monge::cpu::tile_functions<T>();
};

/// Tasks: kRowBlock rows of K, or kStrip columns, each in `parts` parts along the sum, of whole
/// chunks; enough of them for the threads of a large machine.
struct Parts {
  std::int64_t blocks, parts, length;

  Parts(std::int64_t rows, std::int64_t columns, int block) : blocks((rows + block - 1) / block) {
    constexpr std::int64_t kEnoughTasks = 32, kChunk = monge::cpu::kChunk;
    const std::int64_t chunks = (columns + kChunk - 1) / kChunk;
    const std::int64_t wanted = std::min((kEnoughTasks + blocks - 1) / blocks, chunks);
    length = (chunks + wanted - 1) / wanted * kChunk;
    parts = (columns + length - 1) / length;
  }
};
}  // namespace

namespace {
/// weights(i0, rows, j0, columns, tile) of all tiles, through round(from, columns, to), which
/// returns the largest.
template <class V, class T, class K, class Weights, class Round>
bool fill(const AbsorbArgs<T, K>& args, const Weights& weights, const Round& round, Exec& exec) {
  const auto& p = args.pairs;
  const std::int64_t stride = padded(p.m);
  std::atomic<bool> usable = true;
  const auto fill_block = [&](std::int64_t block, int) {
    alignas(64) V tile[monge::cpu::kTileRows * kColumnBlock];
    double largest = 0;
    for (std::int64_t j0 = 0; j0 < stride; j0 += kColumnBlock) {
      const int columns = static_cast<int>(std::min<std::int64_t>(kColumnBlock, stride - j0));
      monge::cpu::for_each_row_tile(monge::cpu::rows_of(p, block), [&](std::int64_t i0, int rows) {
        weights(i0, rows, j0, columns, tile);
        for (int r = 0; r < rows; ++r)
          largest = std::max<double>(largest, round(tile + r * kColumnBlock, columns,
                                                    args.kernel + (i0 + r) * stride + j0));
      });
    }
    if (!(largest <= kLargestEntry)) usable = false;
  };
  monge::cpu::parallel_for(monge::cpu::row_blocks(p), exec, fill_block,
                           static_cast<double>(p.n * p.m) * (p.rows.dim + 16));
  return usable;
}

template <class T>
bool absorb_narrow(const AbsorbArgs<T, T>& args, Exec& exec) {
  std::vector<T> f(args.f, args.f + args.pairs.n), g(args.g, args.g + padded(args.pairs.m));
  const monge::cpu::TileArgs<T> wanted{args.pairs, g.data(), f.data(), args.eps};
  const auto weights = monge::cpu::tile_functions<T>().weights;
  return fill<T>(
      args, [&](auto... at) { weights(wanted, at...); }, monge::cpu::absorbed_sweep<T>().keep,
      exec);
}
}  // namespace

template <class T, class K>
bool absorb(const AbsorbArgs<T, K>& args, Exec& exec) {
  if constexpr (std::is_same_v<T, K>)
    if (args.narrow) return absorb_narrow(args, exec);
  const WideTiles<T> tiles(args);
  return fill<double>(
      args, [&](auto... at) { tiles.weights(at...); }, monge::cpu::absorbed_sweep<K>().round, exec);
}

template <class T, class K>
bool softmin(const SoftminArgs<T>& args, const Absorbed<K>& absorbed, Exec& exec) {
  const std::int64_t n = args.pairs.n, m = args.pairs.m, width = padded(m);
  const auto sweep = monge::cpu::absorbed_sweep<K>();
  const Parts split =
      absorbed.transposed ? Parts(n, m, monge::cpu::kStrip) : Parts(n, m, kRowBlock);
  // Partial sums are of padded rows: strips end at a panel.
  const std::int64_t rows = padded(n);
  const std::int64_t partial_bytes = split.parts * rows * std::int64_t{sizeof(double)};
  std::byte* const memory =
      exec.workspace.reserve(partial_bytes + width * static_cast<std::int64_t>(sizeof(K)));
  double* const sums = reinterpret_cast<double*>(memory);
  K* const v = reinterpret_cast<K*>(memory + partial_bytes);

  std::atomic<bool> near = true;
  const double most = kMostWeight / static_cast<double>(monge::cpu::chunk_count(width));
  monge::cpu::chunks(width, exec, [&](std::int64_t j, std::int64_t end, std::int64_t) {
    if (!(sweep.weights(args.h + j, absorbed.g + j, args.eps, end - j, v + j) <= most))
      near = false;
  });
  if (!near) return false;

  monge::cpu::parallel_for(
      split.blocks * split.parts, exec,
      [&](std::int64_t task, int) {
        const std::int64_t block = task / split.parts, part = task % split.parts;
        const std::int64_t first = part * split.length;
        double* const out = sums + part * rows;
        if (absorbed.transposed) {
          const std::int64_t i0 = block * monge::cpu::kStrip;
          sweep.columns(absorbed.kernel + first * absorbed.stride + i0, absorbed.stride,
                        std::min(m - first, split.length),
                        static_cast<int>(std::min<std::int64_t>(monge::cpu::kStrip, rows - i0)),
                        v + first, out + i0);
        } else {
          const std::int64_t i0 = block * kRowBlock;
          sweep.rows(absorbed.kernel + i0 * absorbed.stride + first, absorbed.stride,
                     static_cast<int>(std::min<std::int64_t>(kRowBlock, n - i0)),
                     std::min(width - first, split.length), v + first, out + i0);
        }
      },
      static_cast<double>(n) * static_cast<double>(m));

  for (std::int64_t part = 1; part < split.parts; ++part)
    for (std::int64_t i = 0; i < n; ++i) sums[i] += sums[part * rows + i];
  const auto fits = [&](std::int64_t i) {
    return sums[i] >= kSmallestSum && sums[i] <= kLargestSum;
  };
  std::int64_t bad = n;
  for (std::int64_t i = 0; i < n; ++i) bad -= fits(i);
  constexpr std::int64_t kFew = 16;  // a row without K takes many times as long as with it
  if (bad > 0 && bad > n / kFew && bad > kRowBlock) return false;
  std::vector<std::uint64_t> good;
  if (bad > 0) {
    good.resize(monge::cpu::row_blocks(args.pairs));
    for (std::int64_t i = 0; i < n; ++i) {
      good[i / kRowBlock] |= std::uint64_t{fits(i)} << i % kRowBlock;
      if (!fits(i)) sums[i] = 1;
    }
  }
  const auto log2 = monge::cpu::softmin_sweep<double>().log2;
  monge::cpu::chunks(n, exec, [&](std::int64_t i0, std::int64_t end, std::int64_t) {
    log2(sums + i0, static_cast<int>(end - i0));
    for (std::int64_t i = i0; i < end; ++i)
      args.out[i] = absorbed.f[i] - args.eps * kLog2 * sums[i];
  });
  if (bad > 0) redo_softmin(args, good.data(), exec);
  return true;
}

template <class K>
void normal(const NormalArgs<K>& args, Exec& exec) {
  constexpr std::int64_t kEnoughTasks = 32, kLeastRows = 64;
  const std::int64_t width = padded(args.m), k = args.columns;
  // Sums in K are of at most kChunk rows.
  const std::int64_t length = std::clamp<std::int64_t>((args.n + kEnoughTasks - 1) / kEnoughTasks,
                                                       kLeastRows, monge::cpu::kChunk);
  const std::int64_t parts = (args.n + length - 1) / length;
  K* const v = reinterpret_cast<K*>(
      exec.workspace.reserve((parts + 1) * width * k * static_cast<std::int64_t>(sizeof(K))));
  K* const sums = v + width * k;
  std::fill_n(v, width * k, K(0));
  for (std::int64_t j = 0; j < args.m; ++j)
    for (std::int64_t c = 0; c < k; ++c) v[c * width + j] = static_cast<K>(args.v[j * k + c]);
  const auto sweep = monge::cpu::absorbed_sweep<K>();
  monge::cpu::parallel_for(
      parts, exec,
      [&](std::int64_t part, int) {
        const std::int64_t first = part * length;
        K* const to = sums + part * width * k;
        std::fill_n(to, width * k, K(0));
        sweep.normal(args.kernel + first * width, width, std::min(length, args.n - first), v,
                     args.columns, to);
      },
      static_cast<double>(args.n) * static_cast<double>(args.m * k));
  monge::cpu::chunks(args.m, exec, [&](std::int64_t begin, std::int64_t end, std::int64_t) {
    for (std::int64_t j = begin; j < end; ++j)
      for (std::int64_t c = 0; c < k; ++c) {
        double sum = 0;
        for (std::int64_t part = 0; part < parts; ++part) sum += sums[(part * k + c) * width + j];
        args.out[j * k + c] = sum;
      }
  });
}

namespace {
// Of a streamed softmin with squared costs, nanoseconds a pair and core, base + slope d; and of one
// that reads its costs. Measured on Zen 5 at n = m = 10 000, d from 8 to 64.
struct Streamed {
  double base, slope, matrix;
};
template <class T>
Streamed streamed_costs() {
  using monge::cpu::Target;
  constexpr bool kSingle = sizeof(T) == 4;
  switch (monge::cpu::current_target()) {
    case Target::avx512:
      return kSingle ? Streamed{0.08, 0.0078, 0.17} : Streamed{0.20, 0.016, 0.33};
    case Target::avx2:
      return kSingle ? Streamed{0.16, 0.015, 0.18} : Streamed{0.63, 0.030, 0.60};
    default:
      return kSingle ? Streamed{0.55, 0.044, 0.46} : Streamed{1.6, 0.075, 1.4};
  }
}
}  // namespace

template <class T>
AbsorbedCosts absorbed_costs(const Pairs<T>& p, Precision precision, int value_bytes) {
  constexpr double kCached = 1 << 24;                   // bytes that a last cache holds
  constexpr double kRead = 0.05, kReadCached = 0.0125;  // a byte
  // The same of rows that serve two products: read once for both, or twice from a cache.
  constexpr double kReadOnce = 0.03, kReadTwice = 0.02;
  // A byte of memory (cpu/memory.cpp), but for what malloc keeps; of tiles against softmin.
  constexpr double kFirstTouch = 0.08, kKept = 1 << 22, kTile = 1.2;
  const auto of = streamed_costs<T>(), wide = streamed_costs<double>();
  const bool matrix = p.form == Form::matrix;
  const auto cost = [&](const Streamed& s) {
    return matrix ? s.matrix : s.base + s.slope * p.rows.dim;
  };
  const double each = value_bytes,
               bytes = each * static_cast<double>(p.n) * static_cast<double>(padded(p.m));
  const double touch = bytes <= kKept ? 0 : each * kFirstTouch;
  AbsorbedCosts out{.streamed = cost(of),
                    .absorbed = each * (bytes <= kCached ? kReadCached : kRead),
                    .absorb = kTile * cost(wide) + touch};
  out.normal = each * (bytes <= kCached ? kReadTwice : kReadOnce);
  if (sizeof(T) == 4) out.narrow = kTile * cost(of) + touch;
  if (precision == Precision::mixed) out.streamed *= 0.65;
  return out;
}

std::int64_t absorbed_bytes(Device) { return std::int64_t{512} << 20; }

template AbsorbedCosts absorbed_costs<float>(const Pairs<float>&, Precision, int);
template AbsorbedCosts absorbed_costs<double>(const Pairs<double>&, Precision, int);
#define MONGE_INSTANTIATE(T, K)                         \
  template bool absorb(const AbsorbArgs<T, K>&, Exec&); \
  template bool softmin(const SoftminArgs<T>&, const Absorbed<K>&, Exec&);
MONGE_INSTANTIATE(float, float)
MONGE_INSTANTIATE(double, double)
MONGE_INSTANTIATE(double, float)
#undef MONGE_INSTANTIATE
template void normal(const NormalArgs<float>&, Exec&);
template void normal(const NormalArgs<double>&, Exec&);
}  // namespace monge::kernels::cpu
