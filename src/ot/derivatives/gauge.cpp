#include "ot/derivatives/gauge.hpp"

#include <vector>

#include "kernels/derivatives.hpp"
#include "ot/arrays.hpp"

namespace monge {
template <class T>
void fix_gauge(const Linear<T>& linear, const Directions<T>& along, Moves<T>& moves, Exec& exec) {
  if (!linear.singular) return;
  const auto moved = [&](Side of, std::int64_t r) {
    const LinearSide<T>& side = linear.side(of);
    const auto& alpha = along.side(of).alpha;
    return kernels::sum(
        kernels::GaugeArgs<T>{side.weight, side.potential.data(), moves.move(of).data(),
                              alpha.size() > 0 ? alpha.data() : nullptr, along.count, r},
        side.weight.size, exec);
  };
  const LinearSide<T>&a = linear.source, &b = linear.target;
  std::vector<double> by, back;
  for (std::int64_t r = 0; r < along.count; ++r) {
    const auto [paired_a, mass_a] = moved(Side::source, r).value;
    const auto [paired_b, mass_b] = moved(Side::target, r).value;
    const double off =
        mass_a * b.paired + a.mass * paired_b - mass_b * a.paired - b.mass * paired_a;
    by.push_back(off / (2 * a.mass * b.mass));
    back.push_back(-by.back());
  }
  const auto shift = [&](const std::vector<double>& s, Buffer<double>& to) {
    const auto placed_s = placed(s, exec);
    kernels::each(kernels::GaugeShiftArgs{placed_s.data(), along.count, to.data()}, to.size(),
                  exec);
  };
  shift(by, moves.df);
  shift(back, moves.dg);
}
template void fix_gauge(const Linear<float>&, const Directions<float>&, Moves<float>&, Exec&);
template void fix_gauge(const Linear<double>&, const Directions<double>&, Moves<double>&, Exec&);
}  // namespace monge
