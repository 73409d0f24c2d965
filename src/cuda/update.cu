// Steps between two sweeps. A first kernel leaves sums over chunks of a side, a second, of one
// block, adds them up and decides, a third acts: nothing waits but measure.
#include "kernels/update.hpp"

#include <algorithm>

#include "cuda/answer.cuh"
#include "cuda/current.cuh"
#include "cuda/measure.cuh"

namespace monge::kernels::cuda {
using namespace monge::cuda;  // NOLINT(google-build-using-namespace): the backend's own helpers

namespace {
static_assert(kChunk % kPanel == 0, "the chunks of n entries cover their padding");

/// One block: all parts of a side, in every thread.
__device__ Measures add_parts(const Part* parts, std::int64_t count) {
  double top = none();
  for (std::int64_t c = threadIdx.x; c < count; c += kReduceThreads) top = fmax(top, parts[c].top);
  top = max_block(top);
  Measures sum{0, 0, 0, 0, 0};
  for (std::int64_t c = threadIdx.x; c < count; c += kReduceThreads) {
    const Part& part = parts[c];
    sum.log_mass += part.mass * (part.top == none() ? 1 : exp(part.top - top));
    sum.dual += part.dual;
    sum.residual += part.residual;
    sum.gap += part.gap;
  }
  double sums[] = {sum.log_mass, sum.dual, sum.residual, sum.gap};
  sum_block(sums);
  return {top == none() ? none() : top + log(sums[0]), sums[1], sums[2], sums[3], 0};
}

template <class T>
struct MeasureParts {
  static constexpr int kThreads = kReduceThreads;
  Sides<T> sides;
  Part* parts;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const MeasureArgs<T>& a = sides.args[at.y];
    const std::int64_t chunk = at.x;
    if (chunk > 0 && chunk * kChunk >= a.weight.size) return;
    const Part part =
        measure_chunk(a, penalty_of(a), chunk, [&](std::int64_t i) { return a.f[i]; });
    if (threadIdx.x == 0) parts[sides.first_part[at.y] + chunk] = part;
  }
};

template <class T>
struct Measure {
  static constexpr int kThreads = kReduceThreads;
  Sides<T> sides;
  const Part* parts;
  Measures* out;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const int side = at.x;
    const MeasureArgs<T>& a = sides.args[side];
    const std::int64_t n = a.weight.size, chunks = n > 0 ? (n + kChunk - 1) / kChunk : 1;
    Measures sum = add_parts(parts + sides.first_part[side], chunks);
    sum.level = penalty_of(a).level;
    if (threadIdx.x == 0) out[side] = sum;
  }
};

/// Steps, and leaves the parts of the dual before and after: parts[chunk], parts[chunks + chunk].
template <class T>
struct GuardedStep {
  static constexpr int kThreads = kReduceThreads;
  HalfStepArgs<T> a;
  std::int64_t chunks;
  Part* parts;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const Penalty penalty = penalty_of(a);
    MeasureArgs<T> measure{};
    measure.f = a.f, measure.s = a.s, measure.weight = a.weight, measure.eps = a.eps;
    const std::int64_t chunk = at.x;
    const auto old = [&](std::int64_t i) { return a.f[i]; };
    const Part before = measure_chunk(measure, penalty, chunk, old);
    for (int e = 0; e < kPerThread; ++e) {
      const std::int64_t i = chunk * kChunk + threadIdx.x + e * kReduceThreads;
      if (i < a.weight.size) a.f[i] = stepped(a, penalty, i, true);
    }
    const Part after = measure_chunk(measure, penalty, chunk, old);  // each thread reads its own
    if (threadIdx.x == 0) parts[chunk] = before, parts[chunks + chunk] = after;
  }
};

/// Every block adds up the parts by itself; all come to the same decision.
template <class T>
struct Guard {
  static constexpr int kThreads = kReduceThreads;
  HalfStepArgs<T> a;
  std::int64_t chunks;
  const Part* parts;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const auto dual = [&](const Measures& m) { return m.dual - a.eps * exp(m.log_mass); };
    const double before = dual(add_parts(parts, chunks)),
                 after = dual(add_parts(parts + chunks, chunks));
    const double rounding = 8 * static_cast<double>(std::numeric_limits<T>::epsilon()) *
                            (fabs(before) + a.eps * a.mass);
    const bool keeps = after >= before - rounding;
    if (keeps && !a.h) return;
    const Penalty penalty = penalty_of(a);
    for (int e = 0; e < kPerThread; ++e) {
      const std::int64_t i = at.x * std::int64_t{kChunk} + threadIdx.x + e * kReduceThreads;
      if (!keeps && i < a.weight.size) a.f[i] = stepped(a, penalty, i, false);
      write_bias(a, i);
    }
  }
};

/// Parts of log sum_i a_i exp(-f_i / rho) of either side.
template <class T>
struct LogSumParts {
  static constexpr int kThreads = kReduceThreads;
  TranslateArgs<T> a;
  std::int64_t chunks;
  Part* parts;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const MovedSide<T>& side = at.y == 0 ? a.lead : a.follow;
    if (side.penalty.kind != Penalty::Kind::kl) return;
    const std::int64_t n = side.weight.size, begin = std::int64_t{at.x} * kChunk + threadIdx.x;
    Part part{none(), 0, 0, 0, 0};
    for (int e = 0; e < kPerThread; ++e) {
      const std::int64_t i = begin + e * kReduceThreads;
      if (i < n && side.weight[i] > 0)
        part.top = fmax(part.top, reference_of(side.weight[i], -side.f[i] / side.penalty.strength));
    }
    part.top = max_block(part.top);
    for (int e = 0; e < kPerThread && part.top > none(); ++e) {
      const std::int64_t i = begin + e * kReduceThreads;
      if (i < n && side.weight[i] > 0)
        part.mass += side.weight[i] * exp(-side.f[i] / side.penalty.strength - part.top);
    }
    part.mass = sum_block(part.mass);
    if (threadIdx.x == 0) parts[at.y * chunks + at.x] = part;
  }
};

template <class T>
struct Translation {
  static constexpr int kThreads = kReduceThreads;
  TranslateArgs<T> a;
  std::int64_t chunks;
  const Part* parts;
  double* by;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    using Kind = Penalty::Kind;
    const auto log_target = [&](const MovedSide<T>& side, const Part* of_side) {
      return side.penalty.kind == Kind::kl ? add_parts(of_side, chunks).log_mass : log(side.mass);
    };
    const double rho_a = a.lead.penalty.strength, rho_b = a.follow.penalty.strength;
    const double rate = a.lead.penalty.kind == Kind::balanced     ? rho_b
                        : a.follow.penalty.kind == Kind::balanced ? rho_a
                                                                  : rho_a * rho_b / (rho_a + rho_b);
    const double step = rate * (log_target(a.lead, parts) - log_target(a.follow, parts + chunks));
    if (threadIdx.x == 0) *by = isfinite(step) ? step : 0;
  }
};

template <class T>
struct MassStep {
  static constexpr int kThreads = kReduceThreads;
  MatchMassArgs<T> a;
  std::int64_t chunks;
  const Part* parts;
  double* by;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const double log_mass = add_parts(parts, chunks).log_mass;
    const double step = a.eps / 2 * (log(a.total_mass) - log_mass);
    if (threadIdx.x > 0) return;
    *by = isfinite(step) ? step : 0;
    if (isfinite(step)) *a.level += step;
  }
};

/// lead.f += l, follow.f += sign l, and the softmins with them: softmin(g + c) = softmin(g) - c.
template <class T>
struct Move {
  static constexpr int kThreads = kReduceThreads;
  MovedSide<T> lead, follow;
  double sign;
  const double* by;

  __device__ void operator()(Block at) const {
    await_previous();
    allow_next();
    const double l = *by;
    if (l == 0) return;
    const std::int64_t i = std::int64_t{at.x} * kThreads + threadIdx.x;
    if (i < lead.weight.size) {
      lead.f[i] += l;
      lead.s[i] -= sign * l;
    }
    if (i < follow.weight.size) {
      follow.f[i] += sign * l;
      follow.s[i] -= l;
    }
  }
};

std::int64_t blocks_of(std::int64_t n) {
  return std::max<std::int64_t>(1, (n + kReduceThreads - 1) / kReduceThreads);
}

template <class T>
void move(const MovedSide<T>& lead, const MovedSide<T>& follow, double sign, const double* by,
          Exec& exec) {
  const std::int64_t n = std::max(lead.weight.size, follow.weight.size);
  launch(Move<T>{lead, follow, sign, by}, blocks_of(n), exec);
}

/// Up to kSides of them.
template <class T>
Sides<T> sides_of(std::span<const MeasureArgs<T>> some) {
  Sides<T> sides{};
  std::int64_t total = 0;
  for (std::size_t s = 0; s < some.size(); ++s) {
    sides.args[s] = some[s];
    sides.first_part[s] = total;
    total += chunk_count(some[s].weight.size);
  }
  return sides;
}

/// The scratch needed is that of all their chunks.
template <class T>
void measure_parts(const Sides<T>& sides, std::int64_t count, Part* parts, Exec& exec) {
  std::int64_t most = 0;
  for (std::int64_t s = 0; s < count; ++s)
    most = std::max(most, chunk_count(sides.args[s].weight.size));
  launch(MeasureParts<T>{sides, parts},
         dim3(static_cast<unsigned>(most), static_cast<unsigned>(count)), exec);
}
}  // namespace

template <class T>
void half_step(const HalfStepArgs<T>& a, Exec& exec) {
  if (a.weight.size == 0) return;
  const Current current(exec);
  if (!(a.omega > 1)) {
    const std::int64_t entries = a.h ? padded(a.weight.size) : a.weight.size;
    return launch(Step<T>{a, a.omega != 1}, blocks_of(entries), exec);
  }
  const std::int64_t chunks = chunk_count(a.weight.size);
  const Scratch memory(exec, 2 * chunks * static_cast<std::int64_t>(sizeof(Part)));
  auto* const parts = reinterpret_cast<Part*>(memory.data());
  launch(GuardedStep<T>{a, chunks, parts}, chunks, exec);
  launch(Guard<T>{a, chunks, parts}, chunks, exec);
}

template <class T>
void measure(std::span<const MeasureArgs<T>> sides, Measures* out, Exec& exec) {
  if (sides.empty()) return;
  const Current current(exec);
  std::int64_t chunks = 0;
  for (const auto& side : sides) chunks += chunk_count(side.weight.size);
  const auto count = static_cast<std::int64_t>(sides.size());
  const Scratch memory(exec, chunks > count ? chunks * static_cast<std::int64_t>(sizeof(Part)) : 0);
  const Answer answer(count * static_cast<std::int64_t>(sizeof(Measures)));
  auto* parts = reinterpret_cast<Part*>(memory.data());
  auto* const measures = answer.as<Measures>();
  for (std::int64_t first = 0; first < count; first += kSides) {
    const auto some = sides.subspan(first, std::min<std::int64_t>(kSides, count - first));
    const auto here = sides_of(some);
    if (chunks == count) {
      launch(MeasureOne<T>{here, measures + first}, std::ssize(some), exec);
      continue;
    }
    measure_parts(here, std::ssize(some), parts, exec);
    launch(Measure<T>{here, parts, measures + first}, std::ssize(some), exec);
    for (const auto& side : some) parts += chunk_count(side.weight.size);
  }
  wait(exec, "measure");
  std::copy_n(measures, count, out);
}

template <class T>
void translate(const TranslateArgs<T>& a, Exec& exec) {
  const Current current(exec);
  // Chunks beyond the end of the shorter side say nothing: top -inf, mass 0.
  const std::int64_t chunks = chunk_count(std::max(a.lead.weight.size, a.follow.weight.size));
  const Scratch memory(exec, 2 * chunks * static_cast<std::int64_t>(sizeof(Part)) + 8);
  auto* const parts = reinterpret_cast<Part*>(memory.data());
  auto* const by = reinterpret_cast<double*>(parts + 2 * chunks);
  launch(LogSumParts<T>{a, chunks, parts}, dim3(static_cast<unsigned>(chunks), 2), exec);
  launch(Translation<T>{a, chunks, parts, by}, 1, exec);
  move(a.lead, a.follow, -1, by, exec);
}

template <class T>
void match_mass(const MatchMassArgs<T>& a, Exec& exec) {
  const Current current(exec);
  const std::int64_t chunks = chunk_count(a.follow.weight.size);
  const Scratch memory(exec, chunks * static_cast<std::int64_t>(sizeof(Part)) + 8);
  auto* const parts = reinterpret_cast<Part*>(memory.data());
  auto* const by = reinterpret_cast<double*>(parts + chunks);
  MeasureArgs<T> side{};
  side.f = a.follow.f, side.s = a.follow.s, side.weight = a.follow.weight;
  side.penalty = a.follow.penalty, side.level = a.level, side.eps = a.eps;
  measure_parts(sides_of(std::span<const MeasureArgs<T>>(&side, 1)), 1, parts, exec);
  launch(MassStep<T>{a, chunks, parts, by}, 1, exec);
  move(a.lead, a.follow, 1, by, exec);
}

#define MONGE_INSTANTIATE(T)                                                   \
  template void half_step<T>(const HalfStepArgs<T>&, Exec&);                   \
  template void measure<T>(std::span<const MeasureArgs<T>>, Measures*, Exec&); \
  template void translate<T>(const TranslateArgs<T>&, Exec&);                  \
  template void match_mass<T>(const MatchMassArgs<T>&, Exec&);
MONGE_INSTANTIATE(float)
MONGE_INSTANTIATE(double)
#undef MONGE_INSTANTIATE
}  // namespace monge::kernels::cuda
