// From the caller's points to what the kernels sweep: the form of a cost, bounding boxes and the
// bounds they give, the common centre, and panels.
#pragma once
#include <cstddef>
#include <limits>
#include <memory>
#include <mutex>
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

/// Packed points of one side, owned. Of a large set that is split the panels are made when they are
/// first read: sweeps of a solver hardly ever do, and they take as much memory again.
template <class T>
struct PackedPoints {
  struct Late {
    MatrixView<const T> points;  // the caller's
    const double* center;
    std::once_flag asked;
    Buffer<T> panels;
  };
  Buffer<T> memory;          // panels; empty: see late
  Buffer<T> numbers;         // norms, then lengths
  const T* norms = nullptr;  // where wanted
  const T* inverse_length =
      nullptr;              // Cosine only: 1/|x|, to chain derivatives to the caller's points
  Buffer<std::byte> split;  // empty: the device has no use for it
  std::shared_ptr<Late> late;
  std::int64_t count = 0;
  int dim = 0;

  /// For verbs that read split points alone: without panels where these are late.
  kernels::Panels<T> swept() const { return {memory.data(), norms, count, dim, split.data()}; }
  kernels::Panels<T> panels(Exec& exec) const;
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
