// choose: pairs of nodes are descended from the roots, level by level; those whose bound is far
// below every budget go at once, and share a sixteenth of it. Of the pairs of leaves that are left
// each block finds how far it may cut, and what both of its blocks may cut goes.
#include "kernels/bounds.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "cpu/parallel.hpp"

namespace monge::kernels::cpu {
namespace {
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEarlyShare = 1.0 / 16;  // of a budget, for pairs that go before the leaves
constexpr double kSumError = 1 + 1e-9;    // rounding of the sums of exponentials
constexpr std::int64_t kPairsPerTask = 2048;

struct NodePair {
  std::int32_t row, col;
};

/// A pair of blocks, and what the rows of one and the columns of the other may hold of it.
struct BlockPair {
  std::int32_t row, col;
  double of_rows, of_cols;
};

class Descent {
 public:
  Descent(const ChooseArgs& args, Exec& exec) : args_(args), exec_(exec) {}

  /// Pairs of blocks with a pair of leaves whose bound is above `least`.
  std::vector<BlockPair> run(double least) {
    int row_level = args_.rows.levels - 1, col_level = args_.cols.levels - 1;
    std::vector<NodePair> pairs{{0, 0}};
    while (row_level > kBlockLevel || col_level > kBlockLevel) {
      const bool split_rows = row_level >= col_level, split_cols = col_level >= row_level;
      row_level -= split_rows;
      col_level -= split_cols;
      const std::int64_t rows = args_.rows.count(row_level), cols = args_.cols.count(col_level);
      pairs = gathered<NodePair>(pairs, [&](const NodePair& parent, std::vector<NodePair>& out) {
        const std::int64_t r0 = std::int64_t{parent.row} << split_rows,
                           c0 = std::int64_t{parent.col} << split_cols;
        for (std::int64_t r = r0; r < std::min(rows, r0 + 1 + split_rows); ++r)
          for (std::int64_t c = c0; c < std::min(cols, c0 + 1 + split_cols); ++c)
            if (!(bound(row_level, r, col_level, c) <= least))
              out.push_back({static_cast<std::int32_t>(r), static_cast<std::int32_t>(c)});
      });
    }
    return gathered<BlockPair>(pairs, [&](const NodePair& pair, std::vector<BlockPair>& out) {
      BlockPair block{pair.row, pair.col, 0, 0};
      if (holds(block, least)) out.push_back(block);
    });
  }

 private:
  double bound(int row_level, std::int64_t row, int col_level, std::int64_t col) const {
    const std::int64_t a = args_.rows.first[row_level] + row, b = args_.cols.first[col_level] + col;
    return pair_bound(args_.rows.boxes[a], args_.rows.planes[a], args_.cols.boxes[b],
                      args_.cols.planes[b], args_.scale);
  }

  /// Sums what the pair's leaves hold; false where none is above `least`.
  bool holds(BlockPair& pair, double least) const {
    constexpr int kLeaves = 1 << kBlockLevel;
    double of_cols[kLeaves] = {};
    bool some = false;
    const std::int64_t a0 = std::int64_t{pair.row} * kLeaves, b0 = std::int64_t{pair.col} * kLeaves;
    for (std::int64_t a = a0; a < std::min(args_.rows.count(0), a0 + kLeaves); ++a) {
      double of_row = 0;
      for (std::int64_t b = b0; b < std::min(args_.cols.count(0), b0 + kLeaves); ++b) {
        const double u = bound(0, a, 0, b);
        if (u <= least) continue;
        some = true;
        const double weight = std::exp(u / args_.eps);
        of_row += args_.cols.mass[b] * weight;
        of_cols[b - b0] += args_.rows.mass[a] * weight;
      }
      pair.of_rows = larger(pair.of_rows, of_row);
    }
    for (const double of_col : of_cols) pair.of_cols = larger(pair.of_cols, of_col);
    return some;
  }
  // A NaN says nothing, and so bounds nothing.
  static double larger(double a, double b) { return std::isnan(b) ? kInfinity : std::max(a, b); }

  /// What body(from_i, out) writes for all i, in their order.
  template <class To, class Body>
  std::vector<To> gathered(const std::vector<NodePair>& from, const Body& body) {
    const auto count = static_cast<std::int64_t>(from.size());
    const std::int64_t tasks = (count + kPairsPerTask - 1) / kPairsPerTask;
    std::vector<std::vector<To>> parts(tasks);
    monge::cpu::parallel_for(
        tasks, exec_,
        [&](std::int64_t task, int) {
          const std::int64_t end = std::min(count, (task + 1) * kPairsPerTask);
          for (std::int64_t p = task * kPairsPerTask; p < end; ++p) body(from[p], parts[task]);
        },
        static_cast<double>(count) * 400);
    std::vector<To> out;
    std::size_t size = 0;
    for (const auto& part : parts) size += part.size();
    out.reserve(size);
    for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
  }

  const ChooseArgs& args_;
  Exec& exec_;
};

/// Places of `pairs` by row (or by column), in their order.
struct Grouped {
  std::vector<std::int64_t> offsets, entries;

  Grouped(const std::vector<BlockPair>& pairs, std::int64_t blocks, std::int32_t BlockPair::*key)
      : offsets(blocks + 1, 0), entries(pairs.size()) {
    for (const BlockPair& pair : pairs) ++offsets[pair.*key + 1];
    for (std::int64_t b = 0; b < blocks; ++b) offsets[b + 1] += offsets[b];
    std::vector<std::int64_t> next(offsets.begin(), offsets.end() - 1);
    for (std::size_t p = 0; p < pairs.size(); ++p)
      entries[next[pairs[p].*key]++] = static_cast<std::int64_t>(p);
  }
};

/// The block across with the largest bound, by going down where that is.
std::int32_t nearest(const Nodes& from, std::int64_t block, const Nodes& to, double scale) {
  const std::int64_t here = from.first[kBlockLevel] + block;
  std::int64_t node = 0;
  for (int level = to.levels - 2; level >= kBlockLevel; --level) {
    const auto bound = [&](std::int64_t child) {
      const std::int64_t at = to.first[level] + child;
      return pair_bound(from.boxes[here], from.planes[here], to.boxes[at], to.planes[at], scale);
    };
    const std::int64_t left = 2 * node, right = left + 1;
    node = right < to.count(level) && bound(right) > bound(left) ? right : left;
  }
  return static_cast<std::int32_t>(node);
}

class Choosing {
 public:
  Choosing(const ChooseArgs& args, Exec& exec)
      : args_(args),
        exec_(exec),
        row_blocks_(args.rows.count(kBlockLevel)),
        col_blocks_(args.cols.count(kBlockLevel)) {}

  Choice run() {
    const double least = early();
    pairs_ = Descent(args_, exec_).run(least * args_.eps);
    complete();
    const double of_early = std::exp(least);
    const double row_base = of_early * total(args_.cols), col_base = of_early * total(args_.rows);
    const Grouped rows(pairs_, row_blocks_, &BlockPair::row),
        cols(pairs_, col_blocks_, &BlockPair::col);
    const auto row_cut = cuts(rows, args_.row_budget - row_base, &BlockPair::of_rows),
               col_cut = cuts(cols, args_.col_budget - col_base, &BlockPair::of_cols);
    kept_.resize(pairs_.size());
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      const BlockPair& pair = pairs_[p];
      kept_[p] = !(pair.of_rows <= row_cut[pair.row] && pair.of_cols <= col_cut[pair.col]);
    }
    Choice out;
    std::tie(out.row_offsets, out.row_blocks, out.row_loss) =
        listed(rows, row_base, &BlockPair::of_rows, &BlockPair::col);
    std::tie(out.col_offsets, out.col_blocks, out.col_loss) =
        listed(cols, col_base, &BlockPair::of_cols, &BlockPair::row);
    return out;
  }

 private:
  // In units of eps. Where a budget is 0, -infinity: what goes is certainly 0.
  double early() const {
    return std::log(kEarlyShare * std::min(args_.row_budget / total(args_.cols),
                                           args_.col_budget / total(args_.rows)));
  }
  static double total(const Nodes& nodes) { return nodes.mass[nodes.first[nodes.levels - 1]]; }

  // Blocks that the descent left alone keep their best pair.
  void complete() {
    std::vector<char> row_has(row_blocks_, 0), col_has(col_blocks_, 0);
    for (const BlockPair& pair : pairs_) row_has[pair.row] = col_has[pair.col] = 1;
    const auto add = [&](std::int32_t row, std::int32_t col) {
      pairs_.push_back({row, col, kInfinity, kInfinity});
      row_has[row] = col_has[col] = 1;
    };
    for (std::int32_t row = 0; row < row_blocks_; ++row)
      if (!row_has[row]) add(row, nearest(args_.rows, row, args_.cols, args_.scale));
    for (std::int32_t col = 0; col < col_blocks_; ++col)
      if (!col_has[col]) add(nearest(args_.cols, col, args_.rows, args_.scale), col);
  }

  // The largest holding at which each block may cut: all at or below it stay within the budget, and
  // one pair is left. -1: none.
  std::vector<double> cuts(const Grouped& blocks, double budget, double BlockPair::*held) const {
    std::vector<double> out(blocks.offsets.size() - 1, -1);
    monge::cpu::parallel_for(
        static_cast<std::int64_t>(out.size()), exec_,
        [&](std::int64_t block, int) {
          std::vector<double> values;
          for (auto e = blocks.offsets[block]; e < blocks.offsets[block + 1]; ++e)
            values.push_back(pairs_[blocks.entries[e]].*held);
          std::sort(values.begin(), values.end());
          double sum = 0;
          for (std::size_t e = 0; e + 1 < values.size(); ++e) {
            sum += values[e];
            if (!(sum * kSumError <= budget)) break;
            if (values[e + 1] > values[e]) out[block] = values[e];
          }
        },
        static_cast<double>(pairs_.size()) * 100);
    return out;
  }

  // What is kept, ascending, and what the rest may hold.
  std::tuple<Buffer<std::int64_t>, Buffer<std::int32_t>, Buffer<double>> listed(
      const Grouped& blocks, double base, double BlockPair::*held,
      std::int32_t BlockPair::*other) const {
    const auto count = static_cast<std::int64_t>(blocks.offsets.size()) - 1;
    Buffer<std::int64_t> offsets(count + 1);
    Buffer<double> loss(count);
    std::vector<std::int32_t> list;
    list.reserve(pairs_.size());
    for (std::int64_t block = 0; block < count; ++block) {
      const auto begin = list.size();
      offsets[block] = static_cast<std::int64_t>(begin);
      double sum = 0;
      for (auto e = blocks.offsets[block]; e < blocks.offsets[block + 1]; ++e) {
        const BlockPair& pair = pairs_[blocks.entries[e]];
        if (kept_[blocks.entries[e]])
          list.push_back(pair.*other);
        else
          sum += pair.*held;
      }
      std::sort(list.begin() + static_cast<std::ptrdiff_t>(begin), list.end());
      loss[block] = base + sum * kSumError;
    }
    offsets[count] = static_cast<std::int64_t>(list.size());
    Buffer<std::int32_t> kept(offsets[count]);
    std::copy(list.begin(), list.end(), kept.begin());
    return {std::move(offsets), std::move(kept), std::move(loss)};
  }

  const ChooseArgs& args_;
  Exec& exec_;
  const std::int64_t row_blocks_, col_blocks_;
  std::vector<BlockPair> pairs_;
  std::vector<char> kept_;
};
}  // namespace

Choice choose(const ChooseArgs& args, Exec& exec) { return Choosing(args, exec).run(); }
}  // namespace monge::kernels::cpu
