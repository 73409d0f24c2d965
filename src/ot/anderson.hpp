// Anderson mixing of the fixed-point map g -> g+ of one iteration (Anderson 1965; Walker and Ni
// 2011): the next g is the combination of the last images whose residuals combine to the least, in
// the norm of the weights. On a linear map it is what GMRES does, at no pass of its own. It knows
// no dual: who calls it rejects a mix that lowered it.
#pragma once
#include <cstdint>
#include <vector>

#include "kernels/mixing.hpp"
#include "kernels/penalty.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"
#include "monge/core/view.hpp"

namespace monge {
template <class T>
class Anderson {
 public:
  Anderson(VectorView<const T> weight, const kernels::Penalty& penalty)
      : weight_(weight), penalty_(penalty) {}

  /// Room [n] for the image of the next g, beside all that are remembered.
  double* image(Exec& exec);
  /// The step from g to that image, which is there now. `drift` is what every step adds to all of
  /// g, at the solution too: no mix is sought that brings it to rest.
  void remember(const double* g, double drift, Exec& exec);
  /// After a wait: g becomes the mix, with its bias. False: there is none, and all is forgotten.
  bool mix(double* g, const kernels::BiasArgs<double>& bias, Exec& exec);
  void forget() { steps_ = 0; }

 private:
  bool find(double* coefficients) const;

  VectorView<const T> weight_;
  kernels::Penalty penalty_;
  int window_ = 0;                              // columns there is room for
  Buffer<double> images_, residuals_;           // [window, n]
  std::vector<double> gram_;                    // [window, window] of the residuals
  kernels::Later<kernels::MovedArgs<T>> dots_;  // the newest row of it
  std::int64_t steps_ = 0;                      // remembered or overwritten
  int newest() const { return static_cast<int>((steps_ - 1) % window_); }
  int count() const { return static_cast<int>(std::min<std::int64_t>(steps_, window_)); }
};
}  // namespace monge
