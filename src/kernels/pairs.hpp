// What every verb sweeps: n rows against m columns, and the cost between them. Points travel in
// panels of 16 so that one packing serves as rows (broadcast) and as columns (vector loads).
#pragma once
#include <cstdint>

namespace monge::kernels {
inline constexpr int kPanel = 16;         // points per panel; h is padded to it with -inf
inline constexpr int kRowBlock = 64;      // rows that share one list of column blocks
inline constexpr int kColumnBlock = 256;  // columns per entry of such a list

constexpr std::int64_t padded(std::int64_t count) { return (count + kPanel - 1) / kPanel * kPanel; }

// Points whose softmin a GPU makes in one launch, in the time that one with more in it would take
// to be fed: all columns of a row block at once, on units that need no preparation.
constexpr bool are_few(std::int64_t n, std::int64_t m, int dim) {
  constexpr std::int64_t kFew = 2 * kColumnBlock, kTerms = 40960, kExponential = 16;
  return n <= kFew && m <= kFew && (n > m ? n : m) * (dim + kExponential) <= kTerms;
}

enum class Form : std::uint8_t {
  squared,   // scale |x - y|^2
  distance,  // scale |x - y|
  power,     // scale |x - y|^power
  dot,       // -scale x.y
  matrix     // matrix[i * row_stride + j * col_stride]; +inf forbids
};

// Coordinate k of point i is data[(i / 16 * dim + k) * 16 + i % 16]; the padding repeats zeros.
template <class T>
struct Panels {
  const T* data = nullptr;   // null: split alone, for softmin, pull and what reads_split() says
  const T* norms = nullptr;  // [padded] |x|^2, summed by FMA as products are: product form of
                             // `squared`; null: direct differences
  std::int64_t count = 0;
  int dim = 0;
  const void* split = nullptr;  // the same points once more, see split.hpp; null: not wanted
};

// Row block r sweeps the column blocks blocks[offsets[r] .. offsets[r + 1]), ascending; block b
// holds columns [b width, (b + 1) width), of a width that divides kColumnBlock and a multiple of
// kPanel. A GPU takes others than kColumnBlock in the softmin of points alone.
struct BlockList {
  const std::int64_t* offsets;
  const std::int32_t* blocks;
  int width = kColumnBlock;
};

template <class T>
struct Pairs {
  Form form = Form::squared;
  T scale = 1, power = 2;
  Panels<T> rows, cols;
  const T* matrix = nullptr;  // one of its strides is 1
  std::int64_t row_stride = 0, col_stride = 0;
  std::int64_t n = 0, m = 0;
  const BlockList* list = nullptr;  // null: every column block
};
}  // namespace monge::kernels
