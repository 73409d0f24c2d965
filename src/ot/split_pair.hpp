// The pair that a solve returns: rounded to the type of the problem, and of float what that took.
#pragma once
#include <cstdint>
#include <utility>

#include "kernels/entries.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"
#include "monge/ot/plan.hpp"  // Side
#include "monge/ot/sinkhorn.hpp"

namespace monge {
template <class T>
class SplitPair {
 public:
  bool empty() const { return of_[0].rounded.size() == 0; }
  /// Of a side: potential [n] + by.
  void take(Side side, const double* potential, std::int64_t n, double by, Exec& exec) {
    auto& [rounded, rest] = of_[static_cast<int>(side)];
    if (rounded.size() != n) {
      rounded = Buffer<T>(n, exec.device);
      rest = Buffer<T>(sizeof(T) == 4 ? n : 0, exec.device);
    }
    kernels::each(kernels::SplitArgs<T>{potential, by, numbers(side)}, n, exec);
  }
  void shift(Side side, double by, Exec& exec) {
    kernels::each(kernels::SplitArgs<T>{nullptr, by, numbers(side)},
                  of_[static_cast<int>(side)].rounded.size(), exec);
  }
  SinkhornResult<T> with(SinkhornReport report) && {
    auto& [f, g] = of_;
    return {std::move(f.rounded), std::move(g.rounded), std::move(report), std::move(f.rest),
            std::move(g.rest)};
  }

 private:
  struct Potential {
    Buffer<T> rounded, rest;
  };
  kernels::SplitNumbers<T> numbers(Side side) {
    auto& [rounded, rest] = of_[static_cast<int>(side)];
    return {rounded.data(), rest.data()};
  }
  Potential of_[2];
};

/// A potential of a result as it was measured.
template <class T>
Buffer<double> joined(const Buffer<T>& rounded, const Buffer<T>& rest, Exec& exec) {
  Buffer<double> out(rounded.size(), exec.device);
  kernels::each(kernels::JoinArgs<T>{{rounded.data(), rest.data()}, out.data()}, out.size(), exec);
  return out;
}
}  // namespace monge
