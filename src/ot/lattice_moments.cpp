// Moments of given values on a lattice: sums of products of columns, along the axes.
#include "kernels/entries.hpp"
#include "ot/arrays.hpp"
#include "ot/lattice.hpp"

namespace monge {
// In double whatever T is: about the centre of a row, which no pass along an axis knows, the sums
// cancel.
template <class T>
void lattice_moments(const Lattice<T>& lattice, Side rows, const T* h, const T* shift,
                     MatrixView<const T> values, const T* center, T* mass, T* first, T* second,
                     double eps, Exec& exec) {
  const LatticeSweep<double> sweep(Lattice<double>{lattice.source, lattice.target, lattice.cost,
                                                   lattice.periodic, lattice.device},
                                   exec);
  const std::int64_t m = values.rows, k = values.cols, columns = (k + 1) * (k + 2) / 2,
                     n = (rows == Side::source ? lattice.source : lattice.target).size();
  Buffer<double> products(m * columns, exec.device), sums(n * columns, exec.device);
  kernels::each(kernels::ProductColumnsArgs<T>{values, products.data()}, products.size(), exec);
  sweep.apply(rows, in_double(h, m, exec).data(), in_double(shift, n, exec).data(),
              kernels::Weighting::plain, {products.data(), m, columns, columns, 1, exec.device},
              sums.data(), eps, exec);
  kernels::each(kernels::CentredProductsArgs<T>{sums.data(), center, k, mass, first, second},
                n * k * k, exec);
}

template void lattice_moments(const Lattice<float>&, Side, const float*, const float*,
                              MatrixView<const float>, const float*, float*, float*, float*, double,
                              Exec&);
template void lattice_moments(const Lattice<double>&, Side, const double*, const double*,
                              MatrixView<const double>, const double*, double*, double*, double*,
                              double, Exec&);
}  // namespace monge
