#include "ot/derivatives/level.hpp"

#include <fmt/format.h>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"

namespace monge {
template <class T>
Directions<T> level_directions(const Linear<T>& linear, Exec& exec) {
  Directions<T> out(linear, Tangent<T>(), exec);
  for (const Side side : {Side::source, Side::target}) {
    const LinearSide<T>& at = linear.side(side);
    auto& of = side == Side::source ? out.source : out.target;
    of.bound = Buffer<double>(at.weight.size, exec.device);
    kernels::each(kernels::LevelMoveArgs{at.tau.data(), of.bound.data()}, at.weight.size, exec);
  }
  return out;
}

template <class T>
std::vector<double> mass_moves(const Buffer<T>& marginal, std::int64_t count, Exec& exec) {
  const auto here = marginal.to(Device{}, exec.stream);
  const std::int64_t n = here.size() / count;
  std::vector<double> out(count, 0.0);
  for (std::int64_t e = 0; e < here.size(); ++e) out[e / n] += here[e];
  return out;
}

void check_level(double of_level) {
  if (!(of_level > 0))
    throw InvalidArgument(
        "[derivatives] no potential is at the level of the total mass: it is all that the sides "
        "have, and does not move",
        "plan");
}

std::vector<double> level_moves(const std::vector<double>& dmass, const std::vector<double>& moved,
                                double of_level) {
  if (!dmass.empty() && dmass.size() != moved.size())
    throw InvalidArgument(
        fmt::format("[derivatives] dmass has {} values, wanted {}", dmass.size(), moved.size()),
        "dmass");
  check_level(of_level);
  std::vector<double> out;
  for (std::size_t r = 0; r < moved.size(); ++r)
    out.push_back(((dmass.empty() ? 0 : dmass[r]) - moved[r]) / of_level);
  return out;
}

template <class T>
void add_level(const Buffer<T>& level, const std::vector<double>& by, Buffer<T>& out, Exec& exec) {
  if (out.size() == 0) return;
  const auto shares = placed(by, exec);
  kernels::each(kernels::AddLevelArgs<T>{level.data(), shares.data(), level.size(), out.data()},
                out.size(), exec);
}

#define MONGE_INSTANTIATE(T)                                                      \
  template Directions<T> level_directions(const Linear<T>&, Exec&);               \
  template std::vector<double> mass_moves(const Buffer<T>&, std::int64_t, Exec&); \
  template void add_level(const Buffer<T>&, const std::vector<double>&, Buffer<T>&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
