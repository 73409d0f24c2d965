// choose: which blocks of columns each block of rows has to sweep, so that no row loses more than
// its budget. What is left out of the rows of a leaf a is at most
//
//   W_a = sum over leaves b of mass(b) exp(U_ab / eps)
//
// and of a block of rows the largest of its leaves. Bounds are in double without contraction and
// their sums in whole parts of the budget, which no order of summation changes: every backend
// chooses the same blocks.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/bounds.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
// Columns of a list's block: half a block of rows is nearer to what is needed, and a sweep hardly
// slower by it.
inline constexpr int kColumnLevel = 1, kListWidth = kLeaf << kColumnLevel;

struct ChooseArgs {
  Nodes rows, cols;  // their planes bound the potentials of both sides
  double scale, eps;
  double budget;      // of a row of weight 1; 0 keeps all that does not vanish in double
  double total_mass;  // of the columns
};
struct Choice {
  Buffer<std::int64_t> offsets;  // [row blocks + 1]; each keeps a block at least, the best
  Buffer<std::int32_t> blocks;   // ascending, of kListWidth columns
  Buffer<double> loss;           // [row blocks] W
};

/// exp(x), at most 2e-12 of it too much and never less.
MONGE_HOST_DEVICE inline double exp_above(double x) {
  if (!(x < 700)) return std::numeric_limits<double>::infinity();  // a NaN bounds nothing
  if (x < -746) return 0;
  if (x < -700) return 1e-304;
  const double n = std::floor(x * 1.4426950408889634 + 0.5);
  const double r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
  double p = 1.0 / 6227020800;
  constexpr double kInverseFactorials[] = {1.0 / 479001600,
                                           1.0 / 39916800,
                                           1.0 / 3628800,
                                           1.0 / 362880,
                                           1.0 / 40320,
                                           1.0 / 5040,
                                           1.0 / 720,
                                           1.0 / 120,
                                           1.0 / 24,
                                           1.0 / 6,
                                           0.5,
                                           1.0,
                                           1.0};
  for (const double factor : kInverseFactorials) p = p * r + factor;
  const auto exponent = static_cast<std::uint64_t>(static_cast<std::int64_t>(n) + 1023) << 52;
  return p * std::bit_cast<double>(exponent) * (1 + 1e-12);
}

/// What a choice goes by.
struct Choosing {
  static constexpr int kBudgetBits = 40;  // a budget in units
  static constexpr std::uint64_t kBudget = std::uint64_t{1} << kBudgetBits;
  // Pairs whose bound is far below every budget go early, and share a sixteenth of it.
  static constexpr std::uint64_t kEarly = kBudget / 16;
  static constexpr std::uint64_t kTooMuch = 2 * kBudget;
  // Holdings in order of size, eight to an octave.
  static constexpr int kBuckets = 8 * (kBudgetBits + 1 - 2) + 1;

  explicit Choosing(const ChooseArgs& args)
      : eps(args.eps),
        unit(args.budget / static_cast<double>(kBudget)),
        per_unit(static_cast<double>(kBudget) / args.budget),
        least(args.eps * std::log(args.budget / 16 * (1 - 1e-9) / args.total_mass)) {}

  double eps, unit, per_unit;
  double least;  // bounds up to it are of pairs that go early

  /// What the rows of block `row` may hold of the columns of block `col`.
  MONGE_HOST_DEVICE std::uint64_t held(const ChooseArgs& a, std::int64_t row,
                                       std::int64_t col) const {
    constexpr int kRowLeaves = 1 << kBlockLevel, kColLeaves = 1 << kColumnLevel;
    std::uint64_t most = 0;
    for (std::int64_t r = row * kRowLeaves; r < (row + 1) * kRowLeaves && r < a.rows.count(0);
         ++r) {
      double of_row = 0;
      for (std::int64_t c = col * kColLeaves; c < (col + 1) * kColLeaves && c < a.cols.count(0);
           ++c) {
        const double u = pair_bound(a.rows.boxes[r], a.rows.planes[r], a.cols.boxes[c],
                                    a.cols.planes[c], a.scale);
        if (!(u <= least)) of_row += a.cols.mass[c] * exp_above(u / eps);
      }
      if (of_row == 0) continue;
      const double units = std::ceil(of_row * per_unit);
      if (!(units <= static_cast<double>(kBudget))) return kTooMuch;
      const auto whole = static_cast<std::uint64_t>(units);
      if (whole > most) most = whole;
    }
    return most;
  }

  MONGE_HOST_DEVICE static int bucket(std::uint64_t held) {
    int octave = 0;
    while (held >> octave >= 16) ++octave;
    return 8 * octave + static_cast<int>(held >> octave);
  }

  /// Of the sums and numbers of the holdings of each bucket: how many buckets may go, what they
  /// hold and how many blocks that leaves. The best blocks stay.
  struct Cut {
    int bucket = 0;  // the first that stays
    std::uint64_t held = 0;
    std::int64_t kept = 0;
  };
  MONGE_HOST_DEVICE static Cut cut(const unsigned long long* held, const int* number,
                                   std::int64_t all) {
    Cut out;
    out.kept = all;
    while (out.kept > number[out.bucket] && out.held + held[out.bucket] <= kBudget - kEarly) {
      out.held += held[out.bucket];
      out.kept -= number[out.bucket++];
    }
    return out;
  }
  MONGE_HOST_DEVICE double loss(const Cut& cut) const {
    return static_cast<double>(kEarly + cut.held) * unit;
  }
};

/// The block of columns with the largest bound, by going down where that is.
MONGE_HOST_DEVICE inline std::int64_t nearest_block(const ChooseArgs& a, std::int64_t row) {
  const std::int64_t here = a.rows.first[kBlockLevel] + row;
  std::int64_t node = 0;
  for (int level = a.cols.levels - 2; level >= kColumnLevel; --level) {
    const auto bound = [&](std::int64_t child) {
      const std::int64_t at = a.cols.first[level] + child;
      return pair_bound(a.rows.boxes[here], a.rows.planes[here], a.cols.boxes[at],
                        a.cols.planes[at], a.scale);
    };
    const std::int64_t left = 2 * node, right = left + 1;
    node = right < a.cols.count(level) && bound(right) > bound(left) ? right : left;
  }
  return node;
}

namespace cpu {
Choice choose(const ChooseArgs&, Exec&);
}
namespace cuda {
Choice choose(const ChooseArgs&, Exec&);
}
/// Waits.
inline Choice choose(const ChooseArgs& args, Exec& exec) {
  return MONGE_ON(exec.device, choose(args, exec));
}
}  // namespace monge::kernels
