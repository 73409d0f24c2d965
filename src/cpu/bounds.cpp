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
  double bound;
};

class Descent {
 public:
  Descent(const ChooseArgs& args, Exec& exec)
      : args_(args),
        exec_(exec),
        row_level_(args.rows.levels - 1),
        col_level_(args.cols.levels - 1) {}

  /// Pairs of leaves with a bound above `least`.
  std::vector<NodePair> run(double least) {
    std::vector<NodePair> pairs{{0, 0, bound(0, 0)}};
    while (row_level_ > 0 || col_level_ > 0) {
      const int split_rows = row_level_ >= col_level_, split_cols = col_level_ >= row_level_;
      row_level_ -= split_rows;
      col_level_ -= split_cols;
      pairs = children(pairs, split_rows, split_cols, least);
    }
    return pairs;
  }

 private:
  double bound(std::int64_t row, std::int64_t col) const {
    const std::int64_t a = args_.rows.first[row_level_] + row,
                       b = args_.cols.first[col_level_] + col;
    return pair_bound(args_.rows.boxes[a], args_.rows.planes[a], args_.cols.boxes[b],
                      args_.cols.planes[b], args_.scale);
  }

  std::vector<NodePair> children(const std::vector<NodePair>& parents, bool split_rows,
                                 bool split_cols, double least) {
    const auto count = static_cast<std::int64_t>(parents.size());
    const std::int64_t tasks = (count + kPairsPerTask - 1) / kPairsPerTask;
    const std::int64_t rows = args_.rows.count(row_level_), cols = args_.cols.count(col_level_);
    std::vector<std::vector<NodePair>> parts(tasks);
    monge::cpu::parallel_for(
        tasks, exec_,
        [&](std::int64_t task, int) {
          const std::int64_t end = std::min(count, (task + 1) * kPairsPerTask);
          for (std::int64_t p = task * kPairsPerTask; p < end; ++p) {
            const std::int64_t r0 = std::int64_t{parents[p].row} << split_rows,
                               c0 = std::int64_t{parents[p].col} << split_cols;
            for (std::int64_t r = r0; r < std::min(rows, r0 + 1 + split_rows); ++r)
              for (std::int64_t c = c0; c < std::min(cols, c0 + 1 + split_cols); ++c) {
                const double u = bound(r, c);
                if (!(u <= least))
                  parts[task].push_back(
                      {static_cast<std::int32_t>(r), static_cast<std::int32_t>(c), u});
              }
          }
        },
        static_cast<double>(count) * 400);
    std::vector<NodePair> out;
    std::size_t size = 0;
    for (const auto& part : parts) size += part.size();
    out.reserve(size);
    for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
  }

  const ChooseArgs& args_;
  Exec& exec_;
  int row_level_, col_level_;
};

/// Entries of `pairs` by row (or by column), in the order of the pairs.
struct Grouped {
  std::vector<std::int64_t> offsets, entries;

  template <class Key>
  Grouped(const std::vector<NodePair>& pairs, std::int64_t blocks, const Key& key)
      : offsets(blocks + 1, 0), entries(pairs.size()) {
    for (const NodePair& pair : pairs) ++offsets[key(pair) + 1];
    for (std::int64_t b = 0; b < blocks; ++b) offsets[b + 1] += offsets[b];
    std::vector<std::int64_t> next(offsets.begin(), offsets.end() - 1);
    for (std::size_t p = 0; p < pairs.size(); ++p)
      entries[next[key(pairs[p])]++] = static_cast<std::int64_t>(p);
  }
};

/// The leaf across with the largest bound, by going down where that is.
std::int32_t nearest(const Nodes& from, std::int64_t leaf, const Nodes& to, double scale) {
  std::int64_t node = 0;
  for (int level = to.levels - 2; level >= 0; --level) {
    const auto bound = [&](std::int64_t child) {
      const std::int64_t at = to.first[level] + child;
      return pair_bound(from.boxes[leaf], from.planes[leaf], to.boxes[at], to.planes[at], scale);
    };
    const std::int64_t left = 2 * node, right = left + 1;
    node = right < to.count(level) && bound(right) > bound(left) ? right : left;
  }
  return static_cast<std::int32_t>(node);
}

class Choosing {
 public:
  Choosing(const ChooseArgs& args, Exec& exec)
      : args_(args), exec_(exec), rows_(args.rows.count(0)), cols_(args.cols.count(0)) {}

  Choice run() {
    const double least = early();
    pairs_ = Descent(args_, exec_).run(least * args_.eps);
    complete();
    const double of_early = std::exp(least);
    const auto by_row = [](const NodePair& p) { return p.row; };
    const auto by_col = [](const NodePair& p) { return p.col; };
    const Grouped rows(pairs_, rows_, by_row), cols(pairs_, cols_, by_col);
    const double row_base = of_early * total(args_.cols), col_base = of_early * total(args_.rows);
    const auto row_cut = cuts(rows, args_.row_budget - row_base, args_.cols.mass, by_col),
               col_cut = cuts(cols, args_.col_budget - col_base, args_.rows.mass, by_row);
    kept_.resize(pairs_.size());
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      const auto& [row, col, bound] = pairs_[p];
      kept_[p] = !(bound <= row_cut[row] && bound <= col_cut[col]);
    }
    Choice out;
    std::tie(out.row_offsets, out.row_blocks, out.row_loss) =
        listed(rows, row_base, args_.cols.mass, by_col);
    std::tie(out.col_offsets, out.col_blocks, out.col_loss) =
        listed(cols, col_base, args_.rows.mass, by_row);
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
    std::vector<char> row_has(rows_, 0), col_has(cols_, 0);
    for (const NodePair& pair : pairs_) row_has[pair.row] = col_has[pair.col] = 1;
    const auto add = [&](std::int32_t row, std::int32_t col) {
      pairs_.push_back({row, col, kInfinity});
      row_has[row] = col_has[col] = 1;
    };
    for (std::int32_t row = 0; row < rows_; ++row)
      if (!row_has[row]) add(row, nearest(args_.rows, row, args_.cols, args_.scale));
    for (std::int32_t col = 0; col < cols_; ++col)
      if (!col_has[col]) add(nearest(args_.cols, col, args_.rows, args_.scale), col);
  }

  double held(const NodePair& pair, double mass) const {
    return mass * std::exp(pair.bound / args_.eps);
  }

  // The largest bound at which each block may cut: all at or below it stay within the budget, and
  // one pair is left.
  template <class Other>
  std::vector<double> cuts(const Grouped& blocks, double budget, const double* mass,
                           const Other& other) {
    std::vector<double> out(blocks.offsets.size() - 1, -kInfinity);
    monge::cpu::parallel_for(
        static_cast<std::int64_t>(out.size()), exec_,
        [&](std::int64_t block, int) {
          std::vector<std::pair<double, double>> row;  // bound, what it may hold
          for (auto e = blocks.offsets[block]; e < blocks.offsets[block + 1]; ++e) {
            const NodePair& pair = pairs_[blocks.entries[e]];
            if (!std::isnan(pair.bound))
              row.emplace_back(pair.bound, held(pair, mass[other(pair)]));
          }
          std::sort(row.begin(), row.end());
          double sum = 0;
          for (std::size_t e = 0; e + 1 < row.size(); ++e) {
            sum += row[e].second;
            if (!(sum * kSumError <= budget)) break;
            if (row[e + 1].first > row[e].first) out[block] = row[e].first;
          }
        },
        static_cast<double>(pairs_.size()) * 100);
    return out;
  }

  // What is kept, ascending, and what the rest may hold.
  template <class Other>
  std::tuple<Buffer<std::int64_t>, Buffer<std::int32_t>, Buffer<double>> listed(
      const Grouped& blocks, double base, const double* mass, const Other& other) const {
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
        const NodePair& pair = pairs_[blocks.entries[e]];
        if (kept_[blocks.entries[e]])
          list.push_back(other(pair));
        else
          sum += held(pair, mass[other(pair)]);
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
  const std::int64_t rows_, cols_;
  std::vector<NodePair> pairs_;
  std::vector<char> kept_;
};
}  // namespace

Choice choose(const ChooseArgs& args, Exec& exec) { return Choosing(args, exec).run(); }
}  // namespace monge::kernels::cpu
