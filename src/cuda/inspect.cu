// inspect of points and weights: what a thread saw of one coordinate joins what others saw, first
// within a block, then over all blocks, in an order that the shape fixes.
#include "kernels/inspect.hpp"

#include "cuda/answer.cuh"
#include "cuda/current.cuh"
#include "cuda/reduce.cuh"
#include "kernels/pack.hpp"  // inverse_length

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
using Count = unsigned long long;
constexpr Count kNowhere = ~Count{0};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::int64_t index_of(Count at) { return at == kNowhere ? -1 : static_cast<std::int64_t>(at); }

/// A sum and what its rounding lost.
struct Compensated {
  double high = 0, low = 0;

  __device__ void add(double value) {
    const double sum = high + value, back = sum - high;
    low += (high - (sum - back)) + (value - back);
    high = sum;
  }
  __device__ void add(const Compensated& other) {
    add(other.high);
    low += other.low;
  }
};

/// What some points say, of one coordinate.
struct Seen {
  Count bad = kNowhere, bad_weight = kNowhere, undirected = kNowhere;
  Count first = kNowhere, count = 0;  // of points that count
  Compensated mass;                   // in the first coordinate alone
  double low = kInfinity, high = -kInfinity, all_low = kInfinity, all_high = -kInfinity;
  double origin = 0, sum = 0;  // the first that counts, and the sum of differences to it

  __device__ void add(const Seen& other) {
    bad = min(bad, other.bad);
    bad_weight = min(bad_weight, other.bad_weight);
    undirected = min(undirected, other.undirected);
    mass.add(other.mass);
    low = fmin(low, other.low), high = fmax(high, other.high);
    all_low = fmin(all_low, other.all_low), all_high = fmax(all_high, other.all_high);
    const bool leads = first <= other.first;
    const Count moved = leads ? other.count : count;
    const double to = leads ? origin : other.origin, from = leads ? other.origin : origin;
    if (moved > 0) sum += static_cast<double>(moved) * (from - to);
    sum += other.sum;
    origin = to;
    first = min(first, other.first);
    count += other.count;
  }
};

/// How a set of points is cut: a block takes a slice of the points and `width` coordinates.
struct Cut {
  std::int64_t columns;  // at least 1: weights alone stand in the first
  int width = 1;         // a power of 2, so that lanes = kReduceThreads / width are one
  std::int64_t slice, slices;

  Cut(std::int64_t rows, std::int64_t dim) : columns(std::max<std::int64_t>(1, dim)) {
    constexpr int kMostWidth = 32;
    constexpr std::int64_t kLeastPerThread = 8, kMostSlices = 1024;
    while (width < kMostWidth && width < columns) width *= 2;
    const std::int64_t lanes = kReduceThreads / width;
    slice =
        lanes * std::max(kLeastPerThread, (rows + lanes * kMostSlices - 1) / lanes / kMostSlices);
    slices = (rows + slice - 1) / slice;
  }
  std::int64_t groups() const { return (columns + width - 1) / width; }
};
template <class T>
struct Sets {
  struct Set {
    InspectPointsArgs<T> args;
    const double* factors;  // unit_length: [n] to directions
    Cut cut;
    Seen *parts, *out;  // [slices, columns], [columns]
  };
  Set set[kMostInspected];
};

template <class T>
struct Factors {
  static constexpr int kThreads = kReduceThreads;
  MatrixView<const T> points;
  double* factors;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const std::int64_t i = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (i < points.rows) factors[i] = inverse_length(points, i);
  }
};

/// The sum over the lanes of a block, in its first lane.
__device__ Seen add_lanes(const Seen& mine, int width) {
  __shared__ Seen seen[kReduceThreads];
  seen[threadIdx.x] = mine;
  for (int half = kReduceThreads / 2; half >= width; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) seen[threadIdx.x].add(seen[threadIdx.x + half]);
  }
  return seen[threadIdx.x];
}

template <class T>
struct Slices {
  static constexpr int kThreads = kReduceThreads;
  Sets<T> sets;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const auto& set = sets.set[at.z];
    const InspectPointsArgs<T>& args = set.args;
    const MatrixView<const T>& points = args.points;
    const Cut& cut = set.cut;
    const std::int64_t k = std::int64_t{at.y} * cut.width + threadIdx.x % cut.width;
    if (at.x >= cut.slices || std::int64_t{at.y} * cut.width >= cut.columns) return;
    const std::int64_t end = min(points.rows, (at.x + 1) * cut.slice);
    const int lanes = kReduceThreads / cut.width;
    Seen mine;
#pragma unroll 4
    for (std::int64_t i = at.x * cut.slice + threadIdx.x / cut.width; i < end && k < cut.columns;
         i += lanes) {
      bool counts = true;
      if (args.weight.data) {
        const double weight = args.weight[i];
        counts = weight > 0;
        if (!(weight >= 0 && isfinite(weight)))
          mine.bad_weight = min(mine.bad_weight, static_cast<Count>(i));
        else if (k == 0)
          mine.mass.add(weight);
      }
      double factor = 1;
      if (counts && args.unit_length) {
        factor = set.factors[i];
        if (!has_direction<T>(factor))
          mine.undirected = min(mine.undirected, static_cast<Count>(i));
      }
      const double value = k < points.cols ? static_cast<double>(points(i, k)) : 0.0;
      if (!isfinite(value)) mine.bad = min(mine.bad, static_cast<Count>(i * points.cols + k));
      mine.all_low = fmin(mine.all_low, value), mine.all_high = fmax(mine.all_high, value);
      if (!counts) continue;
      mine.low = fmin(mine.low, value), mine.high = fmax(mine.high, value);
      if (mine.count++ == 0) {
        mine.first = i;
        mine.origin = factor * value;
      }
      mine.sum += factor * value - mine.origin;
    }
    mine = add_lanes(mine, cut.width);
    if (threadIdx.x < cut.width && k < cut.columns) set.parts[at.x * cut.columns + k] = mine;
  }
};

constexpr int kAddWidth = 4;  // few coordinates a block: many threads join the slices of each
template <class T>
struct AddSlices {
  static constexpr int kThreads = kReduceThreads;
  Sets<T> sets;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const auto& set = sets.set[at.z];
    const Cut& cut = set.cut;
    const std::int64_t k = std::int64_t{at.x} * kAddWidth + threadIdx.x % kAddWidth;
    if (std::int64_t{at.x} * kAddWidth >= cut.columns) return;
    Seen mine;
    for (std::int64_t s = threadIdx.x / kAddWidth; s < cut.slices && k < cut.columns;
         s += kReduceThreads / kAddWidth)
      mine.add(set.parts[s * cut.columns + k]);
    mine = add_lanes(mine, kAddWidth);
    if (threadIdx.x < kAddWidth && k < cut.columns) set.out[k] = mine;
  }
};

PointsReport report_of(const Seen* seen, std::int64_t dim) {
  PointsReport out;
  Count bad = kNowhere;
  for (std::int64_t k = 0; k < dim; ++k) {
    bad = std::min(bad, seen[k].bad);
    out.low.push_back(seen[k].low);
    out.high.push_back(seen[k].high);
    out.all_low.push_back(seen[k].all_low);
    out.all_high.push_back(seen[k].all_high);
    out.origin.push_back(seen[k].origin);
    out.sum.push_back(seen[k].sum);
  }
  out.bad = index_of(bad);
  out.bad_weight = index_of(seen->bad_weight);
  out.mass = seen->mass.high + seen->mass.low;
  out.undirected = index_of(seen->undirected);
  out.count = static_cast<std::int64_t>(seen->count);
  return out;
}
}  // namespace

template <class T>
void inspect(std::span<const InspectPointsArgs<T>> sets, PointsReport* out, Exec& exec) {
  if (sets.empty()) return;
  const Current current(exec);
  std::vector<Cut> cuts;
  std::int64_t columns = 0, parts = 0, factors = 0;
  std::int64_t most_slices = 0, most_groups = 0, most_columns = 0;
  for (const auto& set : sets) {
    const Cut& cut = cuts.emplace_back(set.points.rows, set.points.cols);
    columns += cut.columns;
    parts += cut.slices * cut.columns;
    factors += set.unit_length ? set.points.rows : 0;
    most_slices = std::max(most_slices, cut.slices);
    most_groups = std::max(most_groups, cut.groups());
    most_columns = std::max(most_columns, cut.columns);
  }
  const Scratch memory(exec, parts * std::int64_t{sizeof(Seen)} + factors * 8);
  const Answer answer(columns * std::int64_t{sizeof(Seen)});
  auto* part = reinterpret_cast<Seen*>(memory.data());
  auto* factor = reinterpret_cast<double*>(part + parts);
  auto* seen = answer.as<Seen>();
  Sets<T> all{.set = {{{}, nullptr, Cut(0, 0), nullptr, nullptr},
                      {{}, nullptr, Cut(0, 0), nullptr, nullptr}}};
  for (std::size_t s = 0; s < sets.size(); ++s) {
    const MatrixView<const T>& points = sets[s].points;
    all.set[s] = {sets[s], factor, cuts[s], part, seen};
    part += cuts[s].slices * cuts[s].columns;
    seen += cuts[s].columns;
    if (!sets[s].unit_length || points.rows <= 0) continue;
    launch(Factors<T>{points, factor}, (points.rows + kReduceThreads - 1) / kReduceThreads, exec);
    factor += points.rows;
  }
  const auto count = static_cast<unsigned>(sets.size());
  if (most_slices > 0)
    launch(Slices<T>{all},
           dim3(static_cast<unsigned>(most_slices), static_cast<unsigned>(most_groups), count),
           exec);
  const auto quads = static_cast<unsigned>((most_columns + kAddWidth - 1) / kAddWidth);
  launch(AddSlices<T>{all}, dim3(quads, 1, count), exec);
  wait(exec, "inspect");
  for (std::size_t s = 0; s < sets.size(); ++s)
    out[s] = report_of(all.set[s].out, sets[s].points.cols);
}

template void inspect(std::span<const InspectPointsArgs<float>>, PointsReport*, Exec&);
template void inspect(std::span<const InspectPointsArgs<double>>, PointsReport*, Exec&);
}  // namespace monge::kernels::cuda
