// A block of rows goes down the tree of the columns level by level, keeping to what its early
// bound leaves; of the blocks at the end it cuts the smallest holdings.
#include "kernels/choose.hpp"

#include <algorithm>
#include <vector>

#include "cpu/parallel.hpp"

namespace monge::kernels::cpu {
namespace {
class RowChoice {
 public:
  RowChoice(const ChooseArgs& args, const Choosing& how) : args_(args), how_(how) {}

  /// Appends the blocks that the rows keep; what they lose.
  double run(std::int64_t row, std::vector<std::int32_t>& out) {
    descend(row);
    if (nodes_.empty()) nodes_.push_back(static_cast<std::int32_t>(nearest_block(args_, row)));
    unsigned long long held[Choosing::kBuckets] = {};
    int number[Choosing::kBuckets] = {};
    buckets_.clear();
    for (const std::int32_t col : nodes_) {
      const std::uint64_t h = how_.held(args_, row, col);
      const int b = Choosing::bucket(h);
      held[b] += h;
      ++number[b];
      buckets_.push_back(b);
    }
    const auto cut = Choosing::cut(held, number, std::ssize(nodes_));
    for (std::size_t c = 0; c < nodes_.size(); ++c)
      if (buckets_[c] >= cut.bucket) out.push_back(nodes_[c]);
    return how_.loss(cut);
  }

 private:
  void descend(std::int64_t row) {
    const std::int64_t here = args_.rows.first[kBlockLevel] + row;
    const NodeBox& box = args_.rows.boxes[here];
    const Plane& plane = args_.rows.planes[here];
    const Nodes& cols = args_.cols;
    nodes_.assign(1, 0);
    for (int level = cols.levels - 2; level >= kColumnLevel; --level) {
      below_.clear();
      for (const std::int32_t parent : nodes_)
        for (std::int64_t c = 2 * std::int64_t{parent};
             c < std::min(cols.count(level), 2 * std::int64_t{parent} + 2); ++c) {
          const std::int64_t at = cols.first[level] + c;
          if (!(pair_bound(box, plane, cols.boxes[at], cols.planes[at], args_.scale) <= how_.least))
            below_.push_back(static_cast<std::int32_t>(c));
        }
      nodes_.swap(below_);
    }
  }

  const ChooseArgs& args_;
  const Choosing& how_;
  std::vector<std::int32_t> nodes_, below_;
  std::vector<int> buckets_;
};
}  // namespace

Choice choose(const ChooseArgs& args, Exec& exec) {
  const Choosing how(args);
  const std::int64_t rows = args.rows.count(kBlockLevel);
  constexpr std::int64_t kRowsPerTask = 16;
  const std::int64_t tasks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  std::vector<std::vector<std::int32_t>> lists(tasks);
  Choice out{Buffer<std::int64_t>(rows + 1), {}, Buffer<double>(rows)};
  monge::cpu::parallel_for(
      tasks, exec,
      [&](std::int64_t task, int) {
        RowChoice choice(args, how);
        for (std::int64_t row = task * kRowsPerTask;
             row < std::min(rows, (task + 1) * kRowsPerTask); ++row) {
          const auto before = std::ssize(lists[task]);
          out.loss[row] = choice.run(row, lists[task]);
          out.offsets[row + 1] = std::ssize(lists[task]) - before;
        }
      },
      static_cast<double>(rows) * 1e4);
  out.offsets[0] = 0;
  for (std::int64_t row = 0; row < rows; ++row) out.offsets[row + 1] += out.offsets[row];
  out.blocks = Buffer<std::int32_t>(out.offsets[rows]);
  std::int32_t* to = out.blocks.data();
  for (const auto& list : lists) to = std::copy(list.begin(), list.end(), to);
  return out;
}
}  // namespace monge::kernels::cpu
