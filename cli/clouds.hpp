// The two clouds of a command, read and brought to one type.
#pragma once
#include "cli/flags.hpp"
#include "io/measure.hpp"
#include "monge/core/buffer.hpp"
#include "monge/ot/measure.hpp"

namespace monge::cli {
struct Files {
  io::MeasureFile source, target;
};

/// Throws IoError for what cannot be read, InvalidArgument for weights given twice.
Files read_files(const Flags& flags);
/// Whether the solve runs in float. Throws InvalidArgument naming the cast where float32 points
/// meet others.
bool in_float(const Files& files, const Flags& flags);
/// The agreement two Balanced masses owe each other: 1e-6 where weights were stored as float32.
double mass_tolerance(const Files& files);

/// A copy in double, where `from` is.
Buffer<double> widened(const Buffer<float>& from);

template <class T>
class Cloud {
 public:
  Cloud(io::MeasureFile file, Device device)
      : shape_(std::move(file.points)), points_(io::take<T>(std::move(shape_)).to(device)) {
    if (file.weights) weights_ = io::take<T>(std::move(*file.weights)).to(device);
  }
  /// A copy in double of a cloud in float.
  explicit Cloud(const Cloud<float>& from) requires(sizeof(T) == 8)
      : shape_{from.shape_.shape, from.shape_.fortran_order, from.shape_.stored, {}},
        points_(widened(from.points_)),
        weights_(widened(from.weights_)) {}
  Measure<T> measure() const { return {io::matrix(shape_, points_), weights_.view()}; }
  std::int64_t size() const { return shape_.shape[0]; }
  std::int64_t dim() const { return shape_.shape[1]; }

 private:
  friend class Cloud<double>;
  io::Array shape_;  // its values have moved to points_
  Buffer<T> points_, weights_;
};
}  // namespace monge::cli
