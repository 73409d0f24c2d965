// Arguments and results of a sweep whose rows stand in another order than the caller's, as those of
// a tree do: null is the caller's own, and then nothing is copied.
#pragma once
#include <cstdint>

#include "kernels/entries.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"
#include "monge/core/view.hpp"

namespace monge {
/// Rows of an argument in the order that a side is swept in.
template <class U>
class Ordered {
 public:
  Ordered(const std::int32_t* order, MatrixView<const U> from, Exec& exec) : view_(from) {
    if (!order || !from.data) return;
    own_ = Buffer<U>(from.rows * from.cols, exec.device);
    kernels::each(kernels::GatherArgs<U>{from, own_.data(), order}, own_.size(), exec);
    view_ = {own_.data(), from.rows, from.cols, from.cols, 1, exec.device};
  }
  Ordered(const std::int32_t* order, const U* from, std::int64_t rows, Exec& exec)
      : Ordered(order, MatrixView<const U>(from, rows, 1, 1, 1, exec.device), exec) {}

  const U* data() const { return view_.data; }
  const MatrixView<const U>& view() const { return view_; }

 private:
  Buffer<U> own_;
  MatrixView<const U> view_;
};

/// Rows of a result: written in the order that a side is swept in, then put in theirs.
template <class U>
class Unordered {
 public:
  Unordered(const std::int32_t* order, U* out, std::int64_t rows, std::int64_t cols, Exec& exec)
      : order_(order), out_(out), cols_(cols) {
    if (order && out) own_ = Buffer<U>(rows * cols, exec.device);
  }
  U* data() { return own_.size() ? own_.data() : out_; }
  /// What stands there.
  void take(std::int64_t rows, Exec& exec) {
    kernels::each(
        kernels::GatherArgs<U>{{out_, rows, cols_, cols_, 1, exec.device}, own_.data(), order_},
        own_.size(), exec);
  }
  void put(Exec& exec) {
    kernels::each(kernels::ScatterArgs<U>{own_.data(), cols_, order_, out_}, own_.size(), exec);
  }

 private:
  const std::int32_t* order_;
  U* out_;
  std::int64_t cols_;
  Buffer<U> own_;
};
}  // namespace monge
