// From the caller's points to what the kernels sweep: the form of a cost, bounding boxes and the
// bounds they give, the common centre, and panels.
#pragma once
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/inspect.hpp"
#include "kernels/pairs.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/exec.hpp"
#include "monge/core/view.hpp"
#include "monge/ot/cost.hpp"

namespace monge {
/// Up to this dimension coordinates stay raw and differences are direct.
inline constexpr std::int64_t kDirectDimension = 4;

struct CostForm {
  kernels::Form form = kernels::Form::squared;
  double scale = 1, power = 2;
  bool unit_length = false;  // Cosine: 1 - cos = |x^ - y^|^2 / 2 on unit vectors

  double at_distance(double r) const;
};
/// Throws InvalidArgument for a Power outside [1, infinity).
CostForm cost_form(const Cost& cost);

/// Smallest axis-parallel box around points.
struct Box {
  std::vector<double> low, high;

  explicit Box(std::int64_t dim = 0)
      : low(dim, std::numeric_limits<double>::infinity()),
        high(dim, -std::numeric_limits<double>::infinity()) {}
  Box(std::vector<double> low, std::vector<double> high)
      : low(std::move(low)), high(std::move(high)) {}
  void add(const Box& other);
};
struct Range {
  double min = 0, max = 0;
};
/// Bounds on the cost between any point of one box and any of the other. `period`, where not empty:
/// the way round each axis, 0 where there is none.
Range cost_range(const CostForm& form, const Box& x, const Box& y,
                 const std::vector<double>& period = {});

/// The largest number that a kernel may form between points of one box: squared distances before
/// and after the root, products and norms of centred points.
double largest_intermediate(const CostForm& form, const Box& all);
/// Throws InvalidArgument, naming `argument`, where that number overflows T.
template <class T>
void check_overflow(const CostForm& form, const Box& all, const char* room, const char* argument);

/// Packed points of one side, owned.
template <class T>
struct PackedPoints {
  Buffer<T> memory;          // panels, then norms, then lengths
  const T* norms = nullptr;  // where wanted
  const T* inverse_length =
      nullptr;              // Cosine only: 1/|x|, to chain derivatives to the caller's points
  Buffer<std::byte> split;  // empty: the device has no use for it
  std::int64_t count = 0;
  int dim = 0;
  kernels::Panels<T> panels() const { return {memory.data(), norms, count, dim, split.data()}; }
};

/// Mean of the points that count of both sides, of their directions where the reports were made so.
std::vector<double> common_center(const kernels::PointsReport& x, const kernels::PointsReport& y);

/// Panels of points - center [dim] (null: nothing is subtracted), on exec.device; with norms where
/// distances are products, split where the product is one of points. A vector without direction
/// becomes the first axis.
struct Packing {
  const double* center = nullptr;
  bool unit_length = false, norms = false, split = false;
};
template <class T>
PackedPoints<T> pack(MatrixView<const T> points, const Packing& how, Exec& exec);
/// The same in double: where what float loses as they are centred and normalised matters.
template <class T>
PackedPoints<double> pack_wide(MatrixView<const T> points, Packing how, Exec& exec);
}  // namespace monge
