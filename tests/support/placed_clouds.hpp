// Clouds and their problem on current_device().
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "support/devices.hpp"
#include "support/problems.hpp"

namespace monge::testing {
template <class T>
Buffer<T> placed(const std::vector<T>& values) {
  Buffer<T> out(std::ssize(values), current_device());
  copy(out.data(), current_device(), values.data(), Device{}, out.size() * std::int64_t{sizeof(T)});
  return out;
}

template <class T>
struct PlacedClouds {
  Clouds<T> host;
  Buffer<T> x, y, a, b;
  Problem<T> problem;
  Exec exec;

  PlacedClouds(Clouds<T> clouds, Marginal marginal_a, Marginal marginal_b, int threads = 0)
      : host(std::move(clouds)),
        x(placed(host.x)),
        y(placed(host.y)),
        a(placed(host.a)),
        b(placed(host.b)),
        problem(PointCloud<T>{points(x), points(y), SquaredEuclidean{}}, a.view(), b.view(),
                marginal_a, marginal_b) {
    exec.device = current_device();
    exec.threads = threads;
  }
  MatrixView<const T> points(const Buffer<T>& from) const {
    return {from.data(), from.size() / host.d, host.d, host.d, 1, from.device()};
  }
};
}  // namespace monge::testing
