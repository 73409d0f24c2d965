#include "ot/pyramid.hpp"

#include <algorithm>
#include <limits>
#include <variant>

#include "ot/arrays.hpp"
#include "ot/lattice.hpp"

namespace monge {
namespace {
constexpr std::int64_t kLeastPoints = 256, kLeastLength = 8;
constexpr double kAlike = 1.5;  // of the finest spacing: is halved with it

struct Halving {
  Grid grid;
  double spacing = 0;  // 0: nothing is halved
};

Halving halved(const Grid& fine) {
  double finest = std::numeric_limits<double>::infinity();
  const auto counts = [&](int k) { return fine.shape[k] >= kLeastLength; };
  for (int k = 0; k < fine.dim; ++k)
    if (counts(k)) finest = std::min(finest, fine.spacing[k]);
  Halving out{fine};
  for (int k = 0; k < fine.dim; ++k) {
    if (!counts(k) || fine.spacing[k] > kAlike * finest) continue;
    Grid& coarse = out.grid;
    coarse.shape[k] = (fine.shape[k] + 1) / 2;
    coarse.spacing[k] =
        fine.spacing[k] * static_cast<double>(fine.shape[k]) / static_cast<double>(coarse.shape[k]);
    coarse.origin[k] = fine.origin[k] + (coarse.spacing[k] - fine.spacing[k]) / 2;
    out.spacing = std::max(out.spacing, coarse.spacing[k]);
  }
  return out;
}

/// Every point's weight goes to the cell that its middle is in.
template <class T>
std::vector<T> summed(const Grid& fine, const Grid& coarse, VectorView<const T> weights,
                      Exec& exec) {
  const auto host = on_host(weights, exec);
  std::vector<double> sums(coarse.size(), 0.0);
  for (std::int64_t e = 0; e < fine.size(); ++e) {
    std::int64_t rest = e, cell = 0, stride = 1;
    for (int k = fine.dim - 1; k >= 0; --k) {
      const std::int64_t i = rest % fine.shape[k];
      rest /= fine.shape[k];
      cell += (2 * i + 1) * coarse.shape[k] / (2 * fine.shape[k]) * stride;
      stride *= coarse.shape[k];
    }
    sums[cell] += host[e];
  }
  std::vector<T> out(sums.size());
  std::transform(sums.begin(), sums.end(), out.begin(), [](double w) { return static_cast<T>(w); });
  return out;
}
}  // namespace

template <class T>
bool can_coarsen(const Problem<T>& problem) {
  const auto* lattice = std::get_if<Lattice<T>>(&problem.geometry());
  return lattice && is_separable(*lattice) && std::min(problem.n(), problem.m()) >= kLeastPoints;
}

template <class T>
CoarseLattice<T> coarsened(const Problem<T>& problem, Exec& exec) {
  const auto& fine = std::get<Lattice<T>>(problem.geometry());
  const Halving source = halved(fine.source), target = halved(fine.target);
  CoarseLattice<T> out{fine, summed(fine.source, source.grid, problem.a(), exec),
                       summed(fine.target, target.grid, problem.b(), exec),
                       std::max(source.spacing, target.spacing)};
  out.lattice.source = source.grid;
  out.lattice.target = target.grid;
  return out;
}

#define MONGE_INSTANTIATE(T)                    \
  template bool can_coarsen(const Problem<T>&); \
  template CoarseLattice<T> coarsened(const Problem<T>&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge
