// Lists of column blocks made of others, and scan, which turns how long they are into where they
// start.
#pragma once
#include <cstdint>

#include "kernels/backend.hpp"
#include "kernels/each.hpp"
#include "kernels/host_device.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
namespace cpu {
std::int64_t scan(const std::int64_t* counts, std::int64_t n, std::int64_t* starts, Exec&);
}
namespace cuda {
std::int64_t scan(const std::int64_t* counts, std::int64_t n, std::int64_t* starts, Exec&);
}
/// starts[i] = counts[0] + .. + counts[i - 1] for i in [0, n]; their sum, for which it waits.
inline std::int64_t scan(const std::int64_t* counts, std::int64_t n, std::int64_t* starts,
                         Exec& exec) {
  return MONGE_ON(exec.device, scan(counts, n, starts, exec));
}

/// The list of row block r from that of row block r / times, with blocks `wider` times as wide:
/// first how many they are, then, where `starts` is given, the blocks.
struct RelistArgs {
  const std::int64_t* offsets;
  const std::int32_t* blocks;
  std::int64_t times;
  std::int32_t wider;
  std::int64_t* counts;
  const std::int64_t* starts;
  std::int32_t* out;

  MONGE_HOST_DEVICE void operator()(std::int64_t r) const {
    std::int32_t last = -1;
    std::int64_t count = 0;
    for (std::int64_t e = offsets[r / times]; e < offsets[r / times + 1]; ++e) {
      const std::int32_t block = blocks[e] / wider;
      if (block == last) continue;
      last = block;
      if (starts) out[starts[r] + count] = block;
      ++count;
    }
    if (!starts) counts[r] = count;
  }
};

/// Pairs of rows and columns on the lists, for each block of rows.
struct ListedPairsArgs {
  using Result = Sums<1>;
  const std::int64_t* offsets;
  const std::int32_t* blocks;
  std::int64_t width, n, m;

  MONGE_HOST_DEVICE static std::int64_t size(std::int64_t block, std::int64_t width,
                                             std::int64_t all) {
    const std::int64_t left = all - block * width;
    return left < width ? left : width;
  }
  MONGE_HOST_DEVICE Result operator()(std::int64_t r) const {
    // Ascending: none but the last block may be cut short.
    const std::int64_t count = offsets[r + 1] - offsets[r];
    if (count == 0) return {};
    const std::int64_t columns = (count - 1) * width + size(blocks[offsets[r + 1] - 1], width, m);
    return {{static_cast<double>(columns * size(r, kRowBlock, n))}};
  }
};

/// sum x_i y_i
struct WeightedSumArgs {
  using Result = Sums<1>;
  const double *x, *y;

  MONGE_HOST_DEVICE Result operator()(std::int64_t i) const { return {{x[i] * y[i]}}; }
};

#define MONGE_LIST_EACH_BODIES(X) X(RelistArgs)
#define MONGE_LIST_SUM_BODIES(X) \
  X(ListedPairsArgs)             \
  X(WeightedSumArgs)
}  // namespace monge::kernels
