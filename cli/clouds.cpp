#include "cli/clouds.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "monge/core/error.hpp"

namespace monge::cli {
namespace {
io::MeasureFile read(const std::string& points, const std::optional<std::string>& weights,
                     const char* side) {
  io::MeasureFile out = io::read_measure(points);
  if (!weights) return out;
  if (out.weights)
    throw InvalidArgument(
        fmt::format("[cli] {} has weights and --weights-{} gives others; wanted one", points, side),
        fmt::format("weights-{}", side));
  out.weights = io::read_weights(*weights);
  return out;
}
}  // namespace

Files read_files(const Flags& flags) {
  if (flags.grid) return {{io::read_grid(flags.source), {}}, {io::read_grid(flags.target), {}}};
  return {read(flags.source, flags.weights_source, "source"),
          read(flags.target, flags.weights_target, "target")};
}

bool in_float(const Files& files, const Flags& flags) {
  if (widens(parse_precision(flags.precision), flags.tolerance)) return false;
  const io::Array &x = files.source.points, &y = files.target.points;
  if (x.is_float() != y.is_float())
    throw InvalidArgument(
        fmt::format("[cli] {} has numbers of type {}, {} of type {}: cast one, as "
                    "points.astype(numpy.float32), or "
                    "widen both by --precision double",
                    flags.source, x.stored, flags.target, y.stored),
        "precision");
  return x.is_float();
}

Buffer<double> widened(const Buffer<float>& from) {
  const Buffer<float> here = from.to(Device{});
  Buffer<double> out(here.size());
  std::copy(here.begin(), here.end(), out.begin());
  return out.to(from.device());
}

double mass_tolerance(const Files& files, bool grid) {
  for (const io::MeasureFile* file : {&files.source, &files.target})
    if (grid ? file->points.is_float() : file->weights && file->weights->is_float()) return 1e-6;
  return 0;
}
}  // namespace monge::cli
