// Spreads softmin over threads and columns, checks each row's sum and redoes those whose shift did
// not fit. What is split where depends on shape alone.
#include "kernels/softmin.hpp"

#include <cmath>
#include <limits>

#include "cpu/parallel.hpp"
#include "cpu/softmin_sweep.hpp"

namespace monge::kernels::cpu {
namespace {
using monge::cpu::ColumnRange;
using monge::cpu::RobustSum;

constexpr int kGroup = 8;  // rows that the robust sweep takes at once
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Columns are split where rows alone would not fill the threads of a large machine, and where one
// block of rows would keep a thread from seeing the stop flag for too long.
struct Split {
  std::int64_t row_blocks, parts;

  template <class T>
  explicit Split(const Pairs<T>& p) {
    constexpr std::int64_t kEnoughBlocks = 32, kLeastColumns = 4096;
    constexpr double kLongest = 4e9;  // coordinates: a quarter of a second at half of AVX2's peak
    row_blocks = (p.n + kRowBlock - 1) / kRowBlock;
    column_blocks_ = (p.m + kColumnBlock - 1) / kColumnBlock;
    const double work = static_cast<double>(kRowBlock * p.m) * (p.rows.dim + 16);
    std::int64_t wanted = std::max((kEnoughBlocks + row_blocks - 1) / row_blocks,
                                   static_cast<std::int64_t>(std::ceil(work / kLongest)));
    wanted = std::min(wanted, (p.m + kLeastColumns - 1) / kLeastColumns);
    constexpr int kUnit = monge::cpu::kChunk / kColumnBlock;
    part_blocks_ = ((column_blocks_ + wanted - 1) / wanted + kUnit - 1) / kUnit * kUnit;
    parts = (column_blocks_ + part_blocks_ - 1) / part_blocks_;
  }
  ColumnRange range(std::int64_t part) const {
    return {part * part_blocks_, std::min(column_blocks_, (part + 1) * part_blocks_)};
  }

 private:
  std::int64_t column_blocks_, part_blocks_;
};

template <class T>
class Softmin {
 public:
  Softmin(const SoftminArgs<T>& args, Exec& exec)
      : args_(args),
        exec_(exec),
        sweep_(monge::cpu::softmin_sweep<T>()),
        split_(args.pairs),
        n_(args.pairs.n),
        per_cost_(monge::cpu::shifted_exponent(args).per_cost()),
        robust_per_cost_(monge::cpu::Exponent<T>(args.eps, T(1)).per_cost()) {}

  void run() {
    const std::int64_t threads = monge::cpu::thread_count(exec_);
    scratch_size_ = args_.shift ? (sweep_.scratch_size(args_) + kPanel - 1) / kPanel * kPanel : 0;
    const std::int64_t scratch_bytes =
        threads * scratch_size_ * static_cast<std::int64_t>(sizeof(T));
    const std::int64_t partial = split_.parts > 1 ? split_.parts * n_ : 0;
    std::byte* memory = exec_.workspace.reserve(
        scratch_bytes + partial * static_cast<std::int64_t>(sizeof(RobustSum)) +
        split_.row_blocks * static_cast<std::int64_t>(sizeof(std::uint64_t)));
    scratch_ = reinterpret_cast<T*>(memory);
    partial_ = reinterpret_cast<RobustSum*>(memory + scratch_bytes);
    good_ = reinterpret_cast<std::uint64_t*>(partial_ + partial);
    split_.parts == 1 ? whole_rows() : split_rows();
  }

  void redo_all_but(const std::uint64_t* good) {
    const std::int64_t partial_bytes =
        split_.parts * n_ * static_cast<std::int64_t>(sizeof(RobustSum));
    std::byte* const memory = exec_.workspace.reserve(
        partial_bytes + split_.row_blocks * static_cast<std::int64_t>(sizeof(std::uint64_t)));
    partial_ = reinterpret_cast<RobustSum*>(memory);
    good_ = reinterpret_cast<std::uint64_t*>(memory + partial_bytes);
    std::copy_n(good, split_.row_blocks, good_);
    redo_rows();
  }

 private:
  static std::uint64_t mask(int rows) {
    return rows == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << rows) - 1;
  }
  int rows_of(std::int64_t block) const {
    return static_cast<int>(std::min<std::int64_t>(kRowBlock, n_ - block * kRowBlock));
  }

  // Each block of rows is finished by the thread that swept it.
  void whole_rows() {
    for_each(split_.row_blocks, [&](std::int64_t block, int thread) {
      std::uint64_t good = 0;
      if (args_.shift) {
        double sums[kRowBlock] = {};
        sweep_shifted(block, 0, thread, sums);
        good = finish_shifted(block, sums);
      }
      if (good == mask(rows_of(block))) return;
      RobustSum sums[kRowBlock];
      sweep_robust(block, 0, good, sums);
      finish_robust(block, good, sums);
    });
  }

  // Parts of the columns combine in ascending order, between two parallel regions.
  void split_rows() {
    const std::int64_t parts = split_.parts, tasks = split_.row_blocks * parts;
    double* const sums = reinterpret_cast<double*>(partial_);
    std::fill_n(good_, split_.row_blocks, 0);
    bool all_good = args_.shift;
    if (args_.shift) {
      std::fill_n(sums, parts * n_, 0.0);
      for_each(tasks, [&](std::int64_t task, int thread) {
        const std::int64_t block = task / parts, part = task % parts;
        sweep_shifted(block, part, thread, sums + part * n_ + block * kRowBlock);
      });
      for (std::int64_t part = 1; part < parts; ++part)
        for (std::int64_t i = 0; i < n_; ++i) sums[i] += sums[part * n_ + i];
      for (std::int64_t block = 0; block < split_.row_blocks; ++block) {
        good_[block] = finish_shifted(block, sums + block * kRowBlock);
        all_good &= good_[block] == mask(rows_of(block));
      }
    }
    if (!all_good) redo_rows();
  }

  // By running maxima: the rows that are not good.
  void redo_rows() {
    const std::int64_t parts = split_.parts;
    for_each(split_.row_blocks * parts, [&](std::int64_t task, int) {
      const std::int64_t block = task / parts, part = task % parts;
      sweep_robust(block, part, good_[block], partial_ + part * n_ + block * kRowBlock);
    });
    for (std::int64_t block = 0; block < split_.row_blocks; ++block) {
      for (int r = 0; r < rows_of(block); ++r) {
        if (good_[block] >> r & 1) continue;
        RobustSum* const first = partial_ + block * kRowBlock + r;
        double top = first->top, sum = 0;
        for (std::int64_t part = 1; part < parts; ++part) top = std::max(top, first[part * n_].top);
        for (std::int64_t part = 0; part < parts; ++part) {
          const RobustSum& one = first[part * n_];
          if (one.top == top)
            sum += one.sum;  // also where both are infinite
          else if (one.sum > 0)
            sum += one.sum * std::exp2((one.top - top) * robust_per_cost_);
        }
        *first = {top, sum};
      }
      finish_robust(block, good_[block], partial_ + block * kRowBlock);
    }
  }

  template <class Body>
  void for_each(std::int64_t tasks, const Body& body) {
    const double work =
        static_cast<double>(n_) * static_cast<double>(args_.pairs.m) * (args_.pairs.rows.dim + 8);
    monge::cpu::parallel_for(tasks, exec_, body, work);
  }

  // The shift in units of log 2, rounded to an integer; 0 where it is too large to be one, and the
  // row is then redone.
  double whole_shift(std::int64_t i) const {
    const double shift = std::nearbyint(args_.shift[i] * per_cost_);
    return std::abs(shift) <= sweep_.largest_shift ? shift : 0;
  }

  void sweep_shifted(std::int64_t block, std::int64_t part, int thread, double* sums) {
    T shift[kRowBlock];
    for (int r = 0; r < rows_of(block); ++r)
      shift[r] = static_cast<T>(whole_shift(block * kRowBlock + r));
    sweep_.shifted(args_, block * kRowBlock, rows_of(block), split_.range(part), shift,
                   scratch_ + thread * scratch_size_, sums);
  }

  // Writes the rows whose shift fitted and returns them as bits. Changes `sums`.
  std::uint64_t finish_shifted(std::int64_t block, double* sums) {
    const int rows = rows_of(block);
    const double most = largest_sum(args_.precision);
    std::uint64_t good = 0;
    for (int r = 0; r < rows; ++r) {
      const double i_shift = args_.shift[block * kRowBlock + r] * per_cost_;
      const bool fits =
          std::abs(i_shift) <= sweep_.largest_shift && sums[r] >= 1 / most && sums[r] <= most;
      good |= std::uint64_t{fits} << r;
      if (!fits) sums[r] = 1;
    }
    sweep_.log2(sums, rows);
    for (int r = 0; r < rows; ++r) {
      const std::int64_t i = block * kRowBlock + r;
      if (good >> r & 1) args_.out[i] = (whole_shift(i) - sums[r]) / per_cost_;  // may be its shift
    }
    return good;
  }

  void sweep_robust(std::int64_t block, std::int64_t part, std::uint64_t good, RobustSum* sums) {
    const int rows = rows_of(block);
    for (int g = 0; g < rows; g += kGroup) {
      const int group = std::min(kGroup, rows - g);
      if ((good >> g & mask(group)) == mask(group)) continue;
      sweep_.robust(args_, block * kRowBlock + g, group, split_.range(part), sums + g);
    }
  }

  void finish_robust(std::int64_t block, std::uint64_t good, const RobustSum* sums) {
    for (int r = 0; r < rows_of(block); ++r) {
      if (good >> r & 1) continue;
      const auto [top, sum] = sums[r];
      args_.out[block * kRowBlock + r] =
          std::isinf(top) ? -top : -(top + std::log2(sum) / robust_per_cost_);
    }
  }

  const SoftminArgs<T>& args_;
  Exec& exec_;
  const monge::cpu::SoftminSweep<T> sweep_;
  const Split split_;
  const std::int64_t n_;
  const double per_cost_, robust_per_cost_;  // log2 units per unit of cost, of either sweep
  T* scratch_ = nullptr;                     // [threads, scratch_size_]
  std::int64_t scratch_size_ = 0;
  RobustSum* partial_ = nullptr;   // [parts, n], or sums of type double
  std::uint64_t* good_ = nullptr;  // [row_blocks]
};
}  // namespace

template <class T>
void softmin(const SoftminArgs<T>& args, const HalfStepArgs<T>* step, Exec& exec) {
  if (args.pairs.n > 0) Softmin<T>(args, exec).run();
  if (step) cpu::half_step(*step, exec);
}
template <class T>
void redo_softmin(const SoftminArgs<T>& args, const std::uint64_t* good, Exec& exec) {
  Softmin<T>(args, exec).redo_all_but(good);
}
template void redo_softmin<float>(const SoftminArgs<float>&, const std::uint64_t*, Exec&);
template void redo_softmin<double>(const SoftminArgs<double>&, const std::uint64_t*, Exec&);
template void softmin<float>(const SoftminArgs<float>&, const HalfStepArgs<float>*, Exec&);
template void softmin<double>(const SoftminArgs<double>&, const HalfStepArgs<double>*, Exec&);
}  // namespace monge::kernels::cpu
