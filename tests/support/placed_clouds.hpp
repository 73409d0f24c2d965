// Clouds and their problem where a test runs: on current_device(), if no other is named.
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "monge/ot/measure.hpp"
#include "support/devices.hpp"
#include "support/problems.hpp"

namespace monge::testing {
template <class T>
Buffer<T> placed(const std::vector<T>& values, Device device = current_device()) {
  Buffer<T> out(std::ssize(values), device);
  copy(out.data(), device, values.data(), Device{}, out.size() * std::int64_t{sizeof(T)});
  return out;
}
template <class T>
std::vector<T> back(const T* data, std::int64_t size, Device device) {
  std::vector<T> out(size);
  copy(out.data(), Device{}, data, device, size * std::int64_t{sizeof(T)});
  return out;
}
template <class T>
std::vector<T> back(const Buffer<T>& buffer) {
  const auto host = buffer.to(Device{});
  return std::vector<T>(host.begin(), host.end());
}

template <class T>
struct PlacedClouds {
  Clouds<T> host;
  Buffer<T> x, y, a, b;
  Problem<T> problem;
  Exec exec;

  PlacedClouds(Clouds<T> clouds, Marginal marginal_a, Marginal marginal_b,
               Cost cost = SquaredEuclidean{}, const ProblemOptions& options = {},
               Device device = current_device())
      : host(std::move(clouds)),
        x(placed(host.x, device)),
        y(placed(host.y, device)),
        a(placed(host.a, device)),
        b(placed(host.b, device)),
        problem(PointCloud<T>{points(x), points(y), cost}, a.view(), b.view(), marginal_a,
                marginal_b, options) {
    exec.device = device;
  }
  MatrixView<const T> points(const Buffer<T>& from) const {
    return {from.data(), from.size() / host.d, host.d, host.d, 1, from.device()};
  }
  Measure<T> source() const { return {points(x), a.view()}; }
  Measure<T> target() const { return {points(y), b.view()}; }
};
}  // namespace monge::testing
