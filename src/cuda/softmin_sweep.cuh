// The parts of softmin: a sweep adds up, or takes the largest of, the columns of every row in a
// number of parts; finish combines these, redoes rows whose shift did not fit and takes the step
// that follows (softmin_finish.cuh), in a launch of its own or, of one part, in that of the sweep.
// All sweeps share the contract of this header and differ in how they compute costs.
#pragma once
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/softmin.hpp"

namespace monge::cuda {
using kernels::BlockList;
using kernels::Form;
using kernels::HalfStepArgs;
using kernels::kColumnBlock;
using kernels::kPanel;
using kernels::kRowBlock;
using kernels::Pairs;
using kernels::SoftminArgs;

inline constexpr double kLog2E = 1.4426950408889634074;

/// Columns in parts of whole column blocks. By shape alone, never by the card: results repeat.
struct Parts {
  std::int64_t column_blocks = 0, part_blocks = 0;
  int count = 0;

  /// `rows_per_block` rows to a thread block, `resident` thread blocks on a card of 132
  /// multiprocessors; `unit` column blocks at least to a part. The least time, counted in column
  /// blocks, to which each thread block adds `overhead`.
  static Parts by_shape(std::int64_t n, std::int64_t m, int rows_per_block, int resident, int unit,
                        double overhead) {
    const std::int64_t row_blocks = (n + rows_per_block - 1) / rows_per_block;
    Parts best;
    best.column_blocks = m > 0 ? (m + kColumnBlock - 1) / kColumnBlock : 1;
    double least = std::numeric_limits<double>::infinity();
    for (std::int64_t wanted = 1; wanted <= 64; ++wanted) {
      std::int64_t blocks = (best.column_blocks + wanted - 1) / wanted;
      if (blocks < unit && wanted > 1) break;
      const std::int64_t count = (best.column_blocks + blocks - 1) / blocks;
      const std::int64_t waves = (row_blocks * count + resident - 1) / resident;
      const double time = static_cast<double>(waves) * (static_cast<double>(blocks) + overhead);
      if (time < least * 0.99) {
        least = time;
        best.part_blocks = blocks;
        best.count = static_cast<int>(count);
      }
    }
    return best;
  }
};

/// What every sweep is given. Pairs::list is read on the host; the arrays it names are the
/// device's. Sums: partial[part * n + i] = sum over the part of 2^((h_j - c_ij) per_cost + N_i),
/// N_i = whole_shift(...). Largest: partial[part * n + i] = max over the part of h_j - c_ij.
template <class T>
struct Sweep {
  SoftminArgs<T> args;
  Parts parts;
  T k;                          // per `unit` of cost, rounded to T once and used everywhere
  double per_cost;              // k / unit: units of the exponent of 2 per unit of cost
  double* partial;              // [parts, n]
  std::byte* packed = nullptr;  // columns as a sweep wants them, packed_bytes() of it
  // Of an absorbed kernel, whose sums are relative to the shift itself, N_i = shift_i per_cost:
  const double* weights = nullptr;  // [weight_parts] sums of v_j; above the most K has lost much
  int weight_parts = 0;
  std::int64_t* redone = nullptr;  // where not null, gains the number of rows that were redone
  HalfStepArgs<T> step{};          // of the rows, omega at most 1; s null: none
};

/// How a sweep is chosen and sized.
template <class T>
struct SweepPlan {
  void (*run)(const Sweep<T>&, bool largest, Exec&);
  Parts parts;
  bool in_units_of_scale;  // unit = pairs.scale, else 1
  std::int64_t packed_bytes = 0;
  bool ends = false;  // what it sweeps for: no finish_... is wanted
};

/// Any form and dimension from points, on the FMA units; of few pairs it ends the sums.
template <class T>
SweepPlan<T> tile_sweep(const SoftminArgs<T>&);
/// Matrix entries.
template <class T>
SweepPlan<T> matrix_sweep(const SoftminArgs<T>&);
/// Squared distances of float points in up to four dimensions.
SweepPlan<float> small_sweep(const SoftminArgs<float>&);
/// Products of float points on tensor cores of Hopper, from split points.
SweepPlan<float> tensor_sweep(const SoftminArgs<float>&);

/// Squared distances in up to three dimensions as products on tensor cores of Hopper. One step of
/// 16 terms makes the whole exponent: 9 products of the halves of coordinates scaled by
/// sqrt(2 k), 3 that add the column's rest, 3 that add the row's. Nothing is left to do for a pair
/// but its exponential.
SweepPlan<float> exponent_sweep(const SoftminArgs<float>&);

/// out from the sums, rows that need it swept again with a running maximum.
template <class T>
void finish_sums(const Sweep<T>&, Exec&);
/// out = -max.
template <class T>
void finish_largest(const Sweep<T>&, Exec&);

/// Integers up to it are exact beside a fraction.
template <class T>
inline constexpr double kLargestShift = sizeof(T) == 4 ? 0x1p22 : 0x1p50;

#if defined(__CUDACC__)
/// The row's shift in units of log 2, rounded to an integer; 0 where it is too large to be one, and
/// the row is then redone.
template <class T>
__device__ inline double whole_shift(const double* shift, std::int64_t i, double per_cost) {
  const double whole = rint(shift[i] * per_cost);
  return fabs(whole) <= kLargestShift<T> ? whole : 0;
}

__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline double exp2_fast(double x) { return exp2(x); }

/// Coordinate k of point i stands at coordinates(...)[k * kPanel].
template <class T>
__device__ inline const T* coordinates(const kernels::Panels<T>& points, std::int64_t i) {
  return points.data + i / kPanel * kPanel * points.dim + i % kPanel;
}

/// The column blocks that row block `row_block` sweeps within [first, last), ascending, of
/// kColumnBlock columns.
class BlockWalk {
 public:
  __device__ BlockWalk(const BlockList& list, bool listed, std::int64_t row_block,
                       std::int64_t first, std::int64_t last)
      : next_(static_cast<std::int32_t>(first)), last_(static_cast<std::int32_t>(last)) {
    if (!listed) return;
    at_ = list.blocks + list.offsets[row_block];
    end_ = list.blocks + list.offsets[row_block + 1];
    const std::int32_t* to = end_;
    while (at_ != to) {  // the first entry that is not below `first`
      const std::int32_t* const middle = at_ + (to - at_) / 2;
      if (*middle < first)
        at_ = middle + 1;
      else
        to = middle;
    }
    settle();
  }
  /// The block that next() would give; last where there is none.
  __device__ std::int32_t peek() const { return next_; }
  __device__ bool done() const { return next_ >= last_; }
  __device__ std::int64_t next() {
    const std::int32_t block = next_;
    if (at_) {
      ++at_;
      settle();
    } else {
      ++next_;
    }
    return block;
  }

 private:
  __device__ void settle() {
    next_ = at_ != end_ ? *at_ : last_;
    if (next_ > last_) next_ = last_;
  }
  std::int32_t next_, last_;
  const std::int32_t* at_ = nullptr;
  const std::int32_t* end_ = nullptr;
};

/// The columns that row block `row_block` sweeps in one of `parts` parts, in strides of
/// kColumnBlock: a share of its list, of blocks of any width, or of all.
class ColumnWalk {
 public:
  template <class T>
  __device__ ColumnWalk(const Pairs<T>& p, const BlockList& list, std::int64_t row_block,
                        const Parts& parts, int part)
      : m_(p.m) {
    std::int64_t begin = 0, count = parts.column_blocks, share = parts.part_blocks;
    if (p.list) {
      blocks_ = list.blocks;
      width_ = list.width;
      begin = list.offsets[row_block];
      count = list.offsets[row_block + 1] - begin;
      share = (count * parts.part_blocks + parts.column_blocks - 1) / parts.column_blocks;
    }
    at_ = begin + min(count, share * part);
    end_ = begin + min(count, share * (part + 1));
  }
  /// Columns of the stride, 0 after the last.
  __device__ int count() const {
    const std::int64_t left = (end_ - at_) * width_;
    return static_cast<int>(
        max(std::int64_t{0},
            min(std::int64_t{kColumnBlock}, blocks_ ? left : min(left, m_ - at_ * width_))));
  }
  /// The column of place t < count() of the stride; of a list the last ones may not exist.
  __device__ std::int64_t column(int t) const {
    const std::int64_t entry = at_ + t / width_;
    return (blocks_ ? blocks_[entry] : entry) * std::int64_t{width_} + t % width_;
  }
  __device__ void advance() { at_ += kColumnBlock / width_; }

 private:
  const std::int32_t* blocks_ = nullptr;
  int width_ = kColumnBlock;
  std::int64_t m_, at_, end_;
};
#endif
}  // namespace monge::cuda
