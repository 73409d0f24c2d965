// The verbs of src/cuda against plain host loops, then their rates:
//   bench_cuda_verbs [--check] [--time]        (neither: both)
// Every verb, form and type on awkward shapes, with removed columns, rows without a shift, block
// lists and poisoned outputs, each call twice for its bits. Tolerances follow from rounding: a
// weight moves by the rounding of its exponent, a sum by that of its terms.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "kernels/apply.hpp"
#include "kernels/draw.hpp"
#include "kernels/entries.hpp"
#include "kernels/inspect.hpp"
#include "kernels/moments.hpp"
#include "kernels/pack.hpp"
#include "kernels/pull.hpp"
#include "kernels/softmin.hpp"
#include "kernels/top_k.hpp"
#include "kernels/update.hpp"

namespace monge::bench {
namespace {
using namespace kernels;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

void must(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  std::printf("FAILED %s: %s\n", what, cudaGetErrorString(status));
  std::exit(2);
}

/// Host values on the device; outputs start as NaN or -1 in every byte.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(std::int64_t size) : size_(size) {
    must(cudaMalloc(&data_, std::max<std::int64_t>(size, 1) * sizeof(T)), "cudaMalloc");
    poison();
  }
  explicit OnDevice(const std::vector<T>& from) : OnDevice(static_cast<std::int64_t>(from.size())) {
    must(cudaMemcpy(data_, from.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "copy");
  }
  OnDevice(const OnDevice&) = delete;
  ~OnDevice() { cudaFree(data_); }
  void poison() { must(cudaMemset(data_, 0xff, size_ * sizeof(T)), "cudaMemset"); }
  T* data() const { return data_; }
  std::vector<T> host() const {
    std::vector<T> out(size_);
    must(cudaMemcpy(out.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "copy back");
    return out;
  }

 private:
  T* data_ = nullptr;
  std::int64_t size_;
};

/// Failures and the largest error, in units of its tolerance, by verb.
struct Score {
  long failed = 0, checked = 0;
  std::map<std::string, double> worst;
  std::map<std::string, long> failures;
  void fail(const std::string& verb, const std::string& where, const std::string& what) {
    ++failures[verb];
    if (++failed <= 60)
      std::printf("FAILED %s %s: %s\n", verb.c_str(), where.c_str(), what.c_str());
  }
} score;

void check_value(const std::string& verb, const std::string& where, std::int64_t at, double got,
                 double want, double tolerance) {
  ++score.checked;
  double& worst = score.worst[verb];
  const double error = got == want ? 0 : std::abs(got - want);
  if (error <= tolerance) {
    if (tolerance > 0 && std::isfinite(tolerance)) worst = std::max(worst, error / tolerance);
    return;
  }
  char text[200];
  std::snprintf(text, sizeof text, "entry %lld is %.9g, wanted %.9g +- %.2g",
                static_cast<long long>(at), got, want, tolerance);
  score.fail(verb, where, text);
}

template <class Body>
void parallel(std::int64_t n, const Body& body) {
  const int count = n < 32 ? 1 : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t)
    threads.emplace_back([&, t] {
      for (std::int64_t i = t; i < n; i += count) body(i);
    });
  for (auto& thread : threads) thread.join();
}

struct Shape {
  std::int64_t n, m;
};
struct Kind {
  const char* name;
  Form form;
  int dim;
  double scale = 1, power = 2;
  bool norms = false, transposed = false;
};

template <class T>
std::vector<T> panels_of(const std::vector<T>& points, std::int64_t n, int dim) {
  std::vector<T> out(padded(n) * dim, T(0));
  for (std::int64_t i = 0; i < n; ++i)
    for (int k = 0; k < dim; ++k)
      out[(i / kPanel * dim + k) * kPanel + i % kPanel] = points[i * dim + k];
  return out;
}
template <class T>
std::vector<T> norms_of(const std::vector<T>& points, std::int64_t n, int dim) {
  std::vector<T> out(padded(n), T(0));
  for (std::int64_t i = 0; i < n; ++i)
    for (int k = 0; k < dim; ++k)
      out[i] = std::fma(points[i * dim + k], points[i * dim + k], out[i]);
  return out;
}

/// Inputs on both sides, and every weight with a bound on its relative error.
template <class T>
struct Case {
  using Real = std::conditional_t<sizeof(T) == 4, double, long double>;
  static constexpr double u = std::numeric_limits<T>::epsilon() / 2.0;

  Kind kind;
  std::int64_t n, m;
  double eps;
  bool listed;
  std::string where;
  std::mt19937_64 random;
  std::vector<T> x, y, h, shift, matrix;
  std::vector<std::int64_t> list_offsets;
  std::vector<std::int32_t> list_blocks;
  std::vector<Real> w, c, slope;   // [n, m]
  std::vector<double> wrong;       // relative error of w
  std::vector<double> wrong_cost;  // absolute error of c
  std::vector<T> panels_x, panels_y, norms_x, norms_y;
  OnDevice<T> dx, dy, dnx, dny, dh, dshift, dmatrix;
  OnDevice<std::int64_t> doffsets;
  OnDevice<std::int32_t> dblocks;
  BlockList device_list, host_list;

  double uniform() { return std::uniform_real_distribution<double>(0, 1)(random); }
  std::vector<T> uniforms(std::int64_t count, double low, double high) {
    std::vector<T> out(count);
    for (T& value : out) value = static_cast<T>(low + (high - low) * uniform());
    return out;
  }

  Case(Kind kind_, Shape shape, double eps_, bool listed_, unsigned seed)
      : kind(kind_),
        n(shape.n),
        m(shape.m),
        eps(eps_),
        listed(listed_),
        random(seed),
        x(uniforms(n * std::max(kind.dim, 1), kind.norms ? -0.5 : 0, kind.norms ? 0.5 : 1)),
        y(uniforms(m * std::max(kind.dim, 1), kind.norms ? -0.5 : 0, kind.norms ? 0.5 : 1)),
        h(make_h()),
        shift(n),
        matrix(make_matrix()),
        panels_x(panels_of(x, n, kind.dim)),
        panels_y(panels_of(y, m, kind.dim)),
        norms_x(norms_of(x, n, kind.dim)),
        norms_y(norms_of(y, m, kind.dim)),
        dx((make_lists(), make_weights(), panels_x)),
        dy(panels_y),
        dnx(norms_x),
        dny(norms_y),
        dh(h),
        dshift(shift),
        dmatrix(matrix),
        doffsets(list_offsets),
        dblocks(list_blocks),
        device_list{doffsets.data(), dblocks.data()},
        host_list{list_offsets.data(), list_blocks.data()} {}

  std::int64_t matrix_stride() const { return (kind.transposed ? n : m) + 3; }

  Pairs<T> pairs(bool on_device) const {
    Pairs<T> p;
    p.form = kind.form, p.scale = static_cast<T>(kind.scale);
    p.power = static_cast<T>(kind.power);
    p.n = n, p.m = m;
    if (kind.form == Form::matrix) {
      p.matrix = on_device ? dmatrix.data() : matrix.data();
      p.row_stride = kind.transposed ? 1 : matrix_stride();
      p.col_stride = kind.transposed ? matrix_stride() : 1;
    } else {
      p.rows = {on_device ? dx.data() : panels_x.data(), nullptr, n, kind.dim};
      p.cols = {on_device ? dy.data() : panels_y.data(), nullptr, m, kind.dim};
      if (kind.norms) {
        p.rows.norms = on_device ? dnx.data() : norms_x.data();
        p.cols.norms = on_device ? dny.data() : norms_y.data();
      }
    }
    if (listed) p.list = on_device ? &device_list : &host_list;
    return p;
  }

 private:
  std::vector<T> make_h() {
    std::vector<T> out(padded(m), static_cast<T>(-kInfinity));
    for (std::int64_t j = 0; j < m; ++j)
      if (m == 1 || uniform() > 0.1) out[j] = static_cast<T>(eps * (uniform() - 2));
    return out;
  }
  std::vector<T> make_matrix() {
    if (kind.form != Form::matrix) return {};
    std::vector<T> out((kind.transposed ? m : n) * matrix_stride());
    for (T& value : out) value = static_cast<T>(uniform() < 0.05 ? kInfinity : uniform() * 3 - 1);
    if (kind.transposed)  // with many ties
      for (T& value : out) value = std::floor(value * 4) / 4;
    return out;
  }
  void make_lists() {
    const std::int64_t blocks = (m + kColumnBlock - 1) / kColumnBlock;
    list_offsets = {0};
    for (std::int64_t r = 0; r < (n + kRowBlock - 1) / kRowBlock; ++r) {
      for (std::int64_t b = 0; b < blocks; ++b)
        if (r % 3 != 1 && (uniform() < 0.6 || r == 0)) list_blocks.push_back(b);
      list_offsets.push_back(static_cast<std::int64_t>(list_blocks.size()));
    }
  }
  bool swept(std::int64_t i, std::int64_t j) const {
    if (!listed) return true;
    const auto r = i / kRowBlock;
    return std::binary_search(list_blocks.begin() + list_offsets[r],
                              list_blocks.begin() + list_offsets[r + 1], j / kColumnBlock);
  }

  /// Exact costs of the rounded points, a shift near each row's softmin, weights and bounds.
  void make_weights() {
    w.resize(n * m), c.resize(n * m), slope.resize(n * m), wrong.resize(n * m);
    wrong_cost.resize(n * m);
    const int d = kind.dim;
    parallel(n, [&](std::int64_t i) {
      Real top = -kInfinity;
      for (std::int64_t j = 0; j < m; ++j) {
        Real s = 0, dot = 0, absolute = 0, squares = 0;
        for (int k = 0; k < d; ++k) {
          const Real a = x[i * d + k], b = y[j * d + k];
          s += (a - b) * (a - b);
          dot += a * b, absolute += std::abs(a * b), squares += a * a + b * b;
        }
        Real& cost = c[i * m + j];
        Real off = 0;  // of the cost
        Real& r = slope[i * m + j];
        switch (kind.form) {
          case Form::matrix:
            cost = matrix[kind.transposed ? j * matrix_stride() + i : i * matrix_stride() + j];
            break;
          case Form::dot:
            cost = -kind.scale * dot;
            off = kind.scale * (d + 2) * absolute;
            break;
          case Form::squared:
            cost = kind.scale * s;
            off = kind.norms ? kind.scale * ((d + 3) * squares + 2 * (d + 2) * absolute)
                             : (d + 3) * cost;
            r = 2 * kind.scale;
            break;
          case Form::distance:
            cost = kind.scale * std::sqrt(s);
            off = (d / 2.0 + 6) * cost;
            r = s > 0 ? kind.scale / std::sqrt(s) : 0;
            break;
          case Form::power:
            cost = kind.scale * std::pow(s, static_cast<Real>(kind.power / 2));
            off = (d * kind.power / 2 + 16) * cost;
            r = s > 0 ? kind.scale * kind.power * std::pow(s, Real(kind.power / 2 - 1)) : 0;
            break;
        }
        wrong[i * m + j] = static_cast<double>(off);
        wrong_cost[i * m + j] = u * static_cast<double>(off);
        if (swept(i, j)) top = std::max<Real>(top, h[j] - cost);
      }
      Real sum = 0;
      for (std::int64_t j = 0; j < m; ++j)
        if (swept(i, j) && std::isfinite(top)) sum += std::exp((h[j] - c[i * m + j] - top) / eps);
      const Real softmin = std::isfinite(top) ? -(top + eps * std::log(sum)) : Real(0);
      shift[i] = static_cast<T>(softmin);
      if (i % 17 == 3) shift[i] = static_cast<T>(i % 2 ? kInfinity : -kInfinity);
      for (std::int64_t j = 0; j < m; ++j) {
        Real& weight = w[i * m + j];
        const Real cost = c[i * m + j], z = (h[j] - cost + shift[i]) / static_cast<Real>(eps);
        weight = swept(i, j) && std::isfinite(shift[i]) && h[j] > -kInfinity && cost < kInfinity
                     ? std::exp(z)
                     : Real(0);
        if (!(weight > 0)) continue;
        const double roundings = (d + 4) * (std::abs(h[j]) + std::abs(double(cost))) +
                                 3 * std::abs(shift[i]) + wrong[i * m + j];
        wrong[i * m + j] =
            std::expm1(u * (roundings / eps + 4 * std::abs(static_cast<double>(z)) + 8));
      }
      for (std::int64_t j = 0; j < m; ++j)
        if (!(w[i * m + j] > 0)) wrong[i * m + j] = 0;
    });
  }
};

/// Runs a call twice on poisoned outputs; the bits must agree. What the first left.
template <class T>
std::vector<T> twice(const std::string& verb, const std::string& where, OnDevice<T>& out,
                     const std::function<void()>& call) {
  out.poison();
  call();
  must(cudaDeviceSynchronize(), verb.c_str());
  const auto first = out.host();
  out.poison();
  call();
  must(cudaDeviceSynchronize(), verb.c_str());
  const auto second = out.host();
  if (std::memcmp(first.data(), second.data(), first.size() * sizeof(T)) != 0)
    score.fail(verb, where, "bits differ between two runs");
  return first;
}

/// A sum over j of w_ij value_j, and how far rounding may move it.
template <class T, class Value>
void check_sum(const Case<T>& in, const std::string& verb, std::int64_t at, std::int64_t i,
               double got, double more, const Value& value) {
  using Real = typename Case<T>::Real;
  Real sum = 0;
  double tolerance = std::numeric_limits<T>::min();
  const double chain = (std::min<double>(1024, in.m) + 16 + more) * Case<T>::u;
  const bool of_costs = verb == "apply cost";  // a cost near 0 may be all rounding
  for (std::int64_t j = 0; j < in.m; ++j) {
    const Real weight = in.w[i * in.m + j];
    if (!(weight > 0)) continue;
    const Real term = value(j, weight);
    sum += term;
    tolerance +=
        std::abs(static_cast<double>(term)) * (2.5 * in.wrong[i * in.m + j] + chain) +
        std::numeric_limits<T>::min() * (2 + 2 * std::abs(static_cast<double>(value(j, 1))));
    if (of_costs) tolerance += static_cast<double>(weight) * in.wrong_cost[i * in.m + j];
  }
  check_value(verb, in.where, at, got, static_cast<double>(sum), tolerance);
}

template <class T>
void check_apply(Case<T>& in, Exec& exec, int k, bool by_rows, Weighting weighting) {
  using Real = typename Case<T>::Real;
  const std::int64_t n = in.n, m = in.m;
  const std::vector<T> v = in.uniforms(m * k + 7, -1, 1);
  const OnDevice<T> dv(v);
  OnDevice<T> out(n * k);
  const bool ones = k == 1 && by_rows;
  ApplyArgs<T> args{.pairs = in.pairs(true), .h = in.dh.data(), .shift = in.dshift.data()};
  args.weighting = weighting;
  args.v = ones ? nullptr : dv.data();
  args.v_row = by_rows ? k : 1, args.v_col = by_rows ? 1 : m;
  args.k = k, args.out = out.data(), args.eps = in.eps;
  const std::string verb = weighting == Weighting::plain     ? "apply"
                           : weighting == Weighting::squared ? "apply squared"
                                                             : "apply cost";
  const auto got = twice<T>(verb, in.where, out, [&] { cuda::apply(args, exec); });
  for (std::int64_t i = 0; i < n; ++i)
    for (int c = 0; c < k; ++c) {
      if (k > 8 && c % 5 != 0) continue;
      check_sum(in, verb, i * k + c, i, got[i * k + c], in.kind.dim * 3 + 24,
                [&](std::int64_t j, Real weight) {
                  const Real value = ones ? 1 : v[j * args.v_row + c * args.v_col];
                  if (weighting == Weighting::squared) return weight * weight * value;
                  if (weighting == Weighting::cost) return weight * in.c[i * m + j] * value;
                  return weight * value;
                });
    }
}

template <class T>
void check_pull(Case<T>& in, Exec& exec) {
  using Real = typename Case<T>::Real;
  const int d = in.kind.dim;
  OnDevice<T> out(in.n * d);
  const PullArgs<T> args{in.pairs(true), in.dh.data(), in.dshift.data(), out.data(), in.eps};
  const auto got = twice<T>("pull", in.where, out, [&] { cuda::pull(args, exec); });
  for (std::int64_t i = 0; i < in.n; ++i)
    for (int k = 0; k < d; ++k)
      check_sum(in, "pull", i * d + k, i, got[i * d + k], 3 * d + 40,
                [&](std::int64_t j, Real weight) {
                  const Real xk = in.x[i * d + k], yk = in.y[j * d + k];
                  if (in.kind.form == Form::dot)
                    return weight * -static_cast<Real>(in.kind.scale) * yk;
                  return weight * in.slope[i * in.m + j] * (xk - yk);
                });
}

template <class T>
void check_moments(Case<T>& in, Exec& exec, int dim) {
  using Real = typename Case<T>::Real;
  const auto z = in.uniforms(in.m * dim, -1, 2), center = in.uniforms(in.n * dim, 0, 1);
  const OnDevice<T> dz(panels_of(z, in.m, dim)), dcenter(center);
  const std::int64_t size = 1 + dim + dim * dim;
  OnDevice<T> out(in.n * size);
  const MomentsArgs<T> args{
      in.pairs(true), in.dh.data(), in.dshift.data(),  {dz.data(), nullptr, in.m, dim},
      dcenter.data(), out.data(),   out.data() + in.n, out.data() + in.n * (1 + dim),
      in.eps};
  const auto got = twice<T>("moments", in.where, out, [&] { cuda::moments(args, exec); });
  parallel(1, [&](std::int64_t) {
    for (std::int64_t i = 0; i < in.n; ++i) {
      const auto offset = [&](std::int64_t j, int k) {
        return static_cast<Real>(z[j * dim + k]) - center[i * dim + k];
      };
      check_sum(in, "moments", i, i, got[i], 0, [](std::int64_t, Real w) { return w; });
      for (int k = 0; k < dim; ++k) {
        check_sum(in, "moments", i, i, got[in.n + i * dim + k], 4,
                  [&](std::int64_t j, Real w) { return w * offset(j, k); });
        for (int l = 0; l < dim; ++l) {
          const auto at = in.n * (1 + dim) + (i * dim + k) * dim + l;
          if (dim > 8 && (k * 7 + l) % 11 != 0) continue;
          check_sum(in, "moments", at, i, got[at], 8,
                    [&](std::int64_t j, Real w) { return w * offset(j, k) * offset(j, l); });
        }
      }
    }
  });
}

/// Draws must be those of the CPU: weights have its bits, and the sums that decide its order.
template <class T>
void check_draw(Case<T>& in, Exec& exec) {
  std::vector<std::int64_t> rows, counts, offsets;
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < in.n; ++i) {
    if (in.uniform() < 0.2 && i > 0) continue;
    rows.push_back((i * 7) % in.n);
    counts.push_back(i == 0 ? 300 : i % 4);
    offsets.push_back(total);
    total += counts.back();
  }
  const OnDevice<std::int64_t> drows(rows), dcounts(counts), doffsets(offsets);
  OnDevice<std::int64_t> out(total);
  DrawArgs<T> args{in.pairs(true),
                   in.dh.data(),
                   in.dshift.data(),
                   drows.data(),
                   dcounts.data(),
                   doffsets.data(),
                   static_cast<std::int64_t>(rows.size()),
                   12345,
                   out.data(),
                   in.eps};
  const auto got = twice<std::int64_t>("draw", in.where, out, [&] { cuda::draw(args, exec); });
  std::vector<std::int64_t> want(total, -2);
  args.pairs = in.pairs(false), args.h = in.h.data(), args.shift = in.shift.data();
  args.rows = rows.data(), args.counts = counts.data(), args.offsets = offsets.data();
  args.out = want.data();
  Exec host;
  host.threads = 4;
  cpu::draw(args, host);
  std::int64_t different = 0;
  for (std::int64_t t = 0; t < total; ++t) different += got[t] != want[t];
  score.checked += total;
  if (different > 0)
    score.fail("draw", in.where,
               std::to_string(different) + " of " + std::to_string(total) + " unlike the CPU's");
}

/// All weights by select, then top_k exactly as these say.
template <class T>
void check_top_k(Case<T>& in, Exec& exec, int k) {
  const std::int64_t n = in.n, m = in.m;
  const std::vector<T> least(n, std::numeric_limits<T>::denorm_min());
  std::vector<std::int64_t> starts(n);
  for (std::int64_t i = 0; i < n; ++i) starts[i] = i * m;
  OnDevice<T> threshold(least), weights(n * m);
  const OnDevice<std::int64_t> offsets(starts);
  OnDevice<std::int64_t> counts(n), columns(n * m);
  SelectArgs<T> all{in.pairs(true),   in.dh.data(),   in.dshift.data(),
                    threshold.data(), counts.data(),  offsets.data(),
                    nullptr,          weights.data(), in.eps};
  const auto count =
      twice<std::int64_t>("select", in.where, counts, [&] { cuda::select(all, exec); });
  all.columns = columns.data();
  const auto entry = twice<T>("select", in.where, weights, [&] { cuda::select(all, exec); });
  const auto column = columns.host();
  std::vector<T> dense(n * m, T(0));
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t e = 0; e < count[i]; ++e) {
      const std::int64_t at = i * m + e, j = column[at];
      if (j < 0 || j >= m || (e > 0 && j <= column[at - 1])) {
        score.fail("select", in.where, "columns do not rise");
        return;
      }
      dense[i * m + j] = entry[at];
    }
  for (std::int64_t at = 0; at < n * m; ++at)
    check_value(
        "select", in.where, at, dense[at], static_cast<double>(in.w[at]),
        static_cast<double>(in.w[at]) * in.wrong[at] * 1.01 + 2 * std::numeric_limits<T>::min());

  OnDevice<std::int64_t> best(n * k);
  OnDevice<T> best_weights(n * k), softmin(n);
  const TopKArgs<T> args{in.pairs(true), in.dh.data(),        in.dshift.data(), k,
                         best.data(),    best_weights.data(), softmin.data(),   in.eps};
  const auto run = [&] { cuda::top_k(args, exec); };
  const auto got_columns = twice<std::int64_t>("top_k", in.where, best, run);
  const auto got_weights = best_weights.host();
  const auto got_softmin = softmin.host();
  parallel(1, [&](std::int64_t) {
    for (std::int64_t i = 0; i < n; ++i) {
      std::vector<std::int64_t> order;
      for (std::int64_t j = 0; j < m; ++j)
        if (dense[i * m + j] > 0) order.push_back(j);
      std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return dense[i * m + a] > dense[i * m + b];
      });
      for (int e = 0; e < k; ++e) {
        const bool there = e < static_cast<int>(order.size());
        check_value("top_k", in.where, i * k + e, static_cast<double>(got_columns[i * k + e]),
                    there ? static_cast<double>(order[e]) : -1, 0);
        check_value("top_k", in.where, i * k + e, got_weights[i * k + e],
                    there ? dense[i * m + order[e]] : T(0), 0);
      }
      // softmin: from the exact scores.
      using Real = typename Case<T>::Real;
      Real top = -kInfinity, sum = 0;
      double off = 0;
      for (std::int64_t j = 0; j < m; ++j) {
        const std::int64_t r = i / kRowBlock;
        const bool swept =
            !in.listed ||
            std::binary_search(in.list_blocks.begin() + in.list_offsets[r],
                               in.list_blocks.begin() + in.list_offsets[r + 1], j / kColumnBlock);
        if (swept && in.h[j] > -kInfinity) top = std::max<Real>(top, in.h[j] - in.c[i * m + j]);
      }
      for (std::int64_t j = 0; j < m; ++j) {
        if (in.h[j] > -kInfinity && in.c[i * m + j] < kInfinity) {
          off = std::max(off, std::log1p(in.wrong[i * m + j]));
          const std::int64_t r = i / kRowBlock;
          const bool swept =
              !in.listed ||
              std::binary_search(in.list_blocks.begin() + in.list_offsets[r],
                                 in.list_blocks.begin() + in.list_offsets[r + 1], j / kColumnBlock);
          if (swept) sum += std::exp((in.h[j] - in.c[i * m + j] - top) / static_cast<Real>(in.eps));
        }
      }
      const double want =
          top == -kInfinity ? kInfinity : static_cast<double>(-(top + in.eps * std::log(sum)));
      double tolerance = in.eps * (off + 1100 * Case<T>::u) + 4 * Case<T>::u * std::abs(want);
      if (!std::isfinite(in.shift[i]))  // no weight says how far scores may be off
        tolerance += Case<T>::u * (in.kind.dim + 40) * (4 * in.kind.dim + 4) * 4 + 1e-5 * in.eps;
      check_value("top_k softmin", in.where, i, got_softmin[i], want, tolerance);
    }
  });
}

/// The same within `relative`, or both the same infinity or NaN.
void check_close(const std::string& verb, const std::string& where, double got, double want,
                 double relative, double floor = 0) {
  if (std::isnan(got) && std::isnan(want)) return;
  check_value(verb, where, 0, got, want,
              std::isfinite(want) ? relative * std::abs(want) + floor : 0);
}

template <class T>
void check_updates(std::int64_t n, Penalty::Kind kind, Exec& exec, unsigned seed) {
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return std::uniform_real_distribution<double>(0, 1)(random); };
  const std::string where = "n " + std::to_string(n) + " penalty " +
                            std::to_string(static_cast<int>(kind)) +
                            (sizeof(T) == 4 ? " float" : " double");
  constexpr double u = std::numeric_limits<T>::epsilon();
  const double eps = 0.1, level_value = 0.4;
  std::vector<T> f(n), a(2 * n), other(n);
  std::vector<double> s(n), log_weight(n);
  for (std::int64_t i = 0; i < n; ++i) {
    s[i] = i % 19 == 7 ? kInfinity : uniform();
    f[i] = static_cast<T>(i % 19 == 7 ? kInfinity : s[i] + 0.02 * (uniform() - 0.5));
    a[2 * i] = i % 11 == 4 ? T(0) : static_cast<T>(uniform() / n);
    other[i] = static_cast<T>(uniform());
  }
  double mass = 0;
  for (std::int64_t i = 0; i < n; ++i) mass += a[2 * i];
  Penalty penalty;
  penalty.kind = kind;
  penalty.strength = 0.7;
  const OnDevice<T> da(a), dother(other);
  const OnDevice<double> ds(s), dlevel(std::vector<double>{level_value});
  const VectorView<const T> weight(a.data(), n, 2), device_weight(da.data(), n, 2, exec.device);
  Exec host;

  OnDevice<double> dlog(n);
  twice<double>("log_weights", where, dlog, [&] {
    cuda::each(LogWeightArgs<T>{device_weight, dlog.data()}, n, exec);
  });
  cpu::each(LogWeightArgs<T>{weight, log_weight.data()}, n, host);
  const OnDevice<T> df(f);
  OnDevice<T> dh(padded(n));
  const BiasArgs<T> bias_args{df.data(), dlog.data(), n, eps, dh.data()};
  const auto bias_got =
      twice<T>("bias", where, dh, [&] { cuda::each(bias_args, padded(n), exec); });
  std::vector<T> bias_want(padded(n));
  cpu::each(BiasArgs<T>{f.data(), log_weight.data(), n, eps, bias_want.data()}, padded(n), host);
  for (std::int64_t i = 0; i < padded(n); ++i)
    check_close("bias", where, bias_got[i], bias_want[i], 2 * u, 2 * u);

  for (const double omega : {0.5, 1.0, 1.3, 1.9}) {
    HalfStepArgs<T> args{};
    std::vector<T> want = f;
    args.s = s.data(), args.f = want.data(), args.weight = weight, args.mass = mass;
    args.penalty = penalty, args.level = &level_value, args.eps = eps, args.omega = omega;
    cpu::half_step(args, host);
    std::vector<T> first;
    for (int run = 0; run < 2; ++run) {
      const OnDevice<T> moved(f);
      args.s = ds.data(), args.f = moved.data(), args.weight = device_weight;
      args.level = dlevel.data();
      cuda::half_step(args, exec);
      must(cudaDeviceSynchronize(), "half_step");
      const auto got = moved.host();
      if (run == 1 && std::memcmp(got.data(), first.data(), n * sizeof(T)) != 0)
        score.fail("half_step", where, "bits differ between two runs");
      first = got;
      for (std::int64_t i = 0; i < n; ++i)
        check_close("half_step", where + " omega " + std::to_string(omega), got[i], want[i], 2 * u,
                    2 * u);
    }
  }

  MeasureArgs<T> args[3];
  for (int side = 0; side < 3; ++side) {
    args[side].f = side == 1 ? other.data() : f.data(),
    args[side].s = side == 2 ? nullptr : s.data();
    args[side].weight = weight, args[side].penalty = penalty, args[side].level = &level_value;
    args[side].eps = eps, args[side].log_scale = 0.01, args[side].slack = 1e-5;
    args[side].optimality = side == 0;
  }
  Measures want[3], got[3], again[3];
  cpu::measure<T>(args, want, host);
  for (int side = 0; side < 3; ++side) {
    args[side].f = side == 1 ? dother.data() : df.data();
    args[side].s = side == 2 ? nullptr : ds.data();
    args[side].weight = device_weight, args[side].level = dlevel.data();
  }
  cuda::measure<T>(args, got, exec);
  cuda::measure<T>(args, again, exec);
  if (std::memcmp(got, again, sizeof got) != 0)
    score.fail("measure", where, "bits differ between two runs");
  for (int side = 0; side < 3; ++side) {
    const std::string at = where + " side " + std::to_string(side);
    check_close("measure mass", at, got[side].log_mass, want[side].log_mass, 1e-13, 1e-13);
    check_close("measure dual", at, got[side].dual, want[side].dual, 1e-12, 1e-13 * mass);
    check_close("measure residual", at, got[side].residual, want[side].residual, 1e-12,
                1e-14 * mass);
    check_close("measure gap", at, got[side].gap, want[side].gap, 1e-11, 1e-13 * mass);
    check_close("measure level", at, got[side].level, want[side].level, 0);
  }

  const auto moves = [&](const std::string& verb, const auto& on_cpu, const auto& on_device) {
    std::vector<T> f1 = f, f2 = other;
    std::vector<double> s1 = s, s2(n, 0.25);
    const OnDevice<T> d1(f1), d2(f2);
    const OnDevice<double> e1(s1), e2(s2);
    Penalty second = penalty;
    second.strength = 0.3;
    on_cpu(MovedSide<T>{f1.data(), s1.data(), weight, mass, penalty},
           MovedSide<T>{f2.data(), s2.data(), weight, mass, second});
    on_device(MovedSide<T>{d1.data(), e1.data(), device_weight, mass, penalty},
              MovedSide<T>{d2.data(), e2.data(), device_weight, mass, second});
    must(cudaDeviceSynchronize(), verb.c_str());
    const auto g1 = d1.host(), g2 = d2.host();
    const auto t1 = e1.host(), t2 = e2.host();
    for (std::int64_t i = 0; i < n; ++i) {
      // The step itself comes of sums over n entries, in another order.
      check_close(verb, where, g1[i], f1[i], 2 * u, 2 * u + 1e-13);
      check_close(verb, where, g2[i], f2[i], 2 * u, 2 * u + 1e-13);
      check_close(verb, where, t1[i], s1[i], 1e-12, 1e-12);
      check_close(verb, where, t2[i], s2[i], 1e-12, 1e-12);
    }
  };
  if (kind == Penalty::Kind::kl)
    moves(
        "translate",
        [&](MovedSide<T> x, MovedSide<T> y) {
          cpu::translate(TranslateArgs<T>{x, y}, host);
        },
        [&](MovedSide<T> x, MovedSide<T> y) {
          cuda::translate(TranslateArgs<T>{x, y}, exec);
        });
  if (kind == Penalty::Kind::capped) {
    double level = level_value;
    const OnDevice<double> device_level(std::vector<double>{level_value});
    moves(
        "match_mass",
        [&](MovedSide<T> x, MovedSide<T> y) {
          cpu::match_mass(MatchMassArgs<T>{x, y, eps, 0.3, &level}, host);
        },
        [&](MovedSide<T> x, MovedSide<T> y) {
          cuda::match_mass(MatchMassArgs<T>{x, y, eps, 0.3, device_level.data()}, exec);
        });
    check_close("match_mass", where + " level", device_level.host()[0], level, 2 * u, 1e-13);
  }
}

template <class T>
void check_inspections(std::int64_t n, std::int64_t dim, bool by_rows, bool unit_length,
                       bool spoilt, Exec& exec, unsigned seed) {
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return std::uniform_real_distribution<double>(0, 1)(random); };
  const std::string where = "n " + std::to_string(n) + " dim " + std::to_string(dim) +
                            (by_rows ? " rows" : " columns") + (unit_length ? " directions" : "") +
                            (spoilt ? " spoilt" : "") + (sizeof(T) == 4 ? " float" : " double");
  std::vector<T> x(n * dim), a(n), b(dim);
  for (T& value : x) value = static_cast<T>(uniform() - 0.3);
  for (T& value : a) value = uniform() < 0.2 ? T(0) : static_cast<T>(uniform());
  for (T& value : b) value = uniform() < 0.2 ? T(0) : static_cast<T>(uniform());
  if (spoilt) {
    x[uniform() * x.size()] = static_cast<T>(-kInfinity);
    x[uniform() * x.size()] = static_cast<T>(std::nan(""));
    x[uniform() * x.size()] = static_cast<T>(kInfinity);
    a[uniform() * n] = T(-1);
  } else if (unit_length && n > 2) {
    for (std::int64_t k = 0; k < dim; ++k) x[by_rows ? 2 * dim + k : k * n + 2] = 0;
  }
  const OnDevice<T> dx(x), da(a), db(b);
  const auto view = [&](const T* data, Device device) {
    return by_rows ? MatrixView<const T>(data, n, dim, dim, 1, device)
                   : MatrixView<const T>(data, n, dim, 1, n, device);
  };
  Exec host;
  for (const bool weighted : {false, true}) {
    const VectorView<const T> none;
    const auto want = inspect<T>(
        {view(x.data(), {}), weighted ? VectorView<const T>(a.data(), n) : none, unit_length},
        host);
    const auto got = inspect<T>(
        {view(dx.data(), exec.device),
         weighted ? VectorView<const T>(da.data(), n, 1, exec.device) : none, unit_length},
        exec);
    check_close("inspect points", where + " bad", got.bad, want.bad, 0);
    if (want.bad >= 0) continue;
    check_close("inspect points", where + " undirected", got.undirected, want.undirected, 0);
    check_close("inspect points", where + " count", got.count, want.count, 0);
    for (std::int64_t k = 0; k < dim; ++k) {
      check_close("inspect points", where + " low", got.low[k], want.low[k], 0);
      check_close("inspect points", where + " high", got.high[k], want.high[k], 0);
      check_close("inspect points", where + " all", got.all_low[k], want.all_low[k], 0);
      check_close("inspect points", where + " all", got.all_high[k], want.all_high[k], 0);
      check_close("inspect points", where + " origin", got.origin[k], want.origin[k], 1e-15);
      check_close("inspect points", where + " sum", got.sum[k], want.sum[k], 1e-12, 1e-12 * n);
    }
  }
  const auto of_weights = [&](const T* data, Exec& on) {
    return inspect<T>({.points = {nullptr, n, 0}, .weight = {data, n, 1, on.device}}, on);
  };
  const auto weights_want = of_weights(a.data(), host), weights_got = of_weights(da.data(), exec);
  check_close("inspect weights", where + " bad", weights_got.bad_weight, weights_want.bad_weight,
              0);
  if (weights_want.bad_weight < 0)
    check_close("inspect weights", where + " mass", weights_got.mass, weights_want.mass, 1e-15);

  for (const bool weighted : {false, true}) {
    InspectMatrixArgs<T> args{view(x.data(), {}), {}, {}};
    if (weighted) args.a = {a.data(), n}, args.b = {b.data(), dim};
    const auto want = cpu::inspect(args, host);
    args.matrix = view(dx.data(), exec.device);
    if (weighted) args.a = {da.data(), n}, args.b = {db.data(), dim};
    const auto got = cuda::inspect(args, exec);
    check_close("inspect matrix", where + " bad", got.bad, want.bad, 0);
    if (want.bad >= 0) continue;
    check_close("inspect matrix", where + " forbids", got.forbids, want.forbids, 0);
    check_close("inspect matrix", where + " least", got.least, want.least, 0);
    check_close("inspect matrix", where + " most", got.most, want.most, 0);
    check_close("inspect matrix", where + " needed", got.needed, want.needed, 0);
  }

  if (spoilt) return;
  std::vector<double> center(dim);
  for (double& value : center) value = uniform();
  const OnDevice<double> dcenter(center);
  std::vector<T> data(padded(n) * dim), norms(padded(n)), inverse(n);
  OnDevice<T> ddata(padded(n) * dim), dnorms(padded(n)), dinverse(n);
  PackArgs<T> args{view(x.data(), {}), center.data(), unit_length,
                   data.data(),        norms.data(),  unit_length ? inverse.data() : nullptr};
  cpu::pack(args, host);
  args = {view(dx.data(), exec.device),
          dcenter.data(),
          unit_length,
          ddata.data(),
          dnorms.data(),
          unit_length ? dinverse.data() : nullptr};
  const auto got = twice<T>("pack", where, ddata, [&] { cuda::pack(args, exec); });
  const auto got_norms = dnorms.host(), got_inverse = dinverse.host();
  constexpr double u = std::numeric_limits<T>::epsilon();
  const double loose = unit_length ? 2 * u : 0;  // divisions and roots may round differently
  for (std::int64_t at = 0; at < padded(n) * dim; ++at)
    check_close("pack", where, got[at], data[at], loose, loose);
  for (std::int64_t i = 0; i < padded(n); ++i)
    check_close("pack norms", where, got_norms[i], norms[i], 4 * loose + 0, loose);
  for (std::int64_t i = 0; unit_length && i < n; ++i)
    check_close("pack inverse", where, got_inverse[i], inverse[i], 2 * loose);
}

const Kind kKinds[] = {
    {"squared d=1", Form::squared, 1},
    {"squared d=2", Form::squared, 2, 0.5},
    {"squared d=3", Form::squared, 3},
    {"squared d=4", Form::squared, 4, 0.3},
    {"squared d=7 direct", Form::squared, 7},
    {"squared d=3 product", Form::squared, 3, 1, 2, true},
    {"squared d=5 product", Form::squared, 5, 0.5, 2, true},
    {"squared d=64 product", Form::squared, 64, 1, 2, true},
    {"squared d=70 product", Form::squared, 70, 1, 2, true},
    {"distance d=2", Form::distance, 2},
    {"distance d=20", Form::distance, 20, 0.7},
    {"power 1.5 d=3", Form::power, 3, 1, 1.5},
    {"power 3 d=6", Form::power, 6, 1, 3},
    {"dot d=3", Form::dot, 3},
    {"dot d=17", Form::dot, 17},
    {"matrix by rows", Form::matrix, 0},
    {"matrix by columns", Form::matrix, 0, 1, 2, false, true},
};
constexpr Shape kShapes[] = {{1, 1},      {1, 1000},   {1000, 1}, {15, 17},  {16, 16},
                             {17, 15},    {63, 65},    {64, 64},  {65, 63},  {300, 64},
                             {300, 1000}, {1000, 300}, {65, 300}, {17, 1000}};

template <class T>
void check_all(Exec& exec) {
  unsigned seed = 1;
  int turn = 0;
  for (const Kind& kind : kKinds)
    for (const Shape shape : kShapes) {
      ++turn;
      const bool exact = kind.form == Form::matrix || (!kind.norms && kind.form != Form::dot);
      constexpr double kEps[] = {0.05, 1, 1e-3, 100, 1e-6};
      const double eps = kEps[turn % (exact ? 5 : 4)];
      const bool listed = turn % 3 == 0;
      const bool large = shape.n * shape.m > 100000;
      Case<T> in(kind, shape, eps, listed, seed++);
      char text[120];
      std::snprintf(text, sizeof text, "%s %s n %lld m %lld eps %g%s", kind.name,
                    sizeof(T) == 4 ? "float" : "double", static_cast<long long>(shape.n),
                    static_cast<long long>(shape.m), eps, listed ? " listed" : "");
      in.where = text;
      constexpr Weighting kWeightings[] = {Weighting::plain, Weighting::squared, Weighting::cost};
      for (const Weighting weighting : kWeightings) check_apply(in, exec, 1, true, weighting);
      check_apply(in, exec, 1, false, Weighting::plain);
      constexpr int kColumns[] = {2, 3, 4, 5, 8, 9, 16, 25, 64, 70};
      check_apply(in, exec, kColumns[turn % 10], turn % 2 == 0, kWeightings[turn % 3]);
      if (!large) check_apply(in, exec, kColumns[(turn + 5) % 10], turn % 2 == 1, Weighting::plain);
      if (kind.form != Form::matrix) check_pull(in, exec);
      check_moments(in, exec, large ? 3 : std::max(1, kind.dim % 5));
      if (!large) check_moments(in, exec, turn % 2 ? 5 : 4);
      if (shape.n * shape.m <= 5000) check_moments(in, exec, 70);
      check_draw(in, exec);
      constexpr int kBest[] = {1, 5, 32, 33, 64, 100};
      check_top_k(in, exec, kBest[turn % 6]);
    }
  for (const std::int64_t n : {1, 15, 300, 2048, 2049, 10000})
    for (int kind = 0; kind < 4; ++kind)
      check_updates<T>(n, static_cast<Penalty::Kind>(kind), exec, seed++);
  for (const std::int64_t n : {1, 17, 300, 3000})
    for (const std::int64_t dim : {1, 3, 40, 300})
      for (int flags = 0; flags < 8; ++flags)
        check_inspections<T>(n, dim, flags & 1, flags & 2, flags & 4, exec, seed++);
}

/// Milliseconds of one call: the median of 7.
double time_of(const std::function<void()>& call) {
  cudaEvent_t begin, end;
  cudaEventCreate(&begin), cudaEventCreate(&end);
  for (int warm = 0; warm < 3; ++warm) call();
  std::vector<float> times;
  for (int run = 0; run < 7; ++run) {
    cudaEventRecord(begin);
    call();
    cudaEventRecord(end);
    cudaEventSynchronize(end);
    float time = 0;
    cudaEventElapsedTime(&time, begin, end);
    times.push_back(time);
  }
  must(cudaDeviceSynchronize(), "timing");
  std::sort(times.begin(), times.end());
  cudaEventDestroy(begin), cudaEventDestroy(end);
  return times[times.size() / 2];
}

template <class T>
void time_all(Kind kind, std::int64_t n, double eps, Exec& exec) {
  std::mt19937_64 random(7);
  const int d = kind.dim;
  const auto uniforms = [&](std::int64_t count, double low) {
    std::vector<T> out(count);
    for (T& value : out)
      value = static_cast<T>(low + std::uniform_real_distribution<double>(0, 1)(random));
    return out;
  };
  const double low = kind.norms ? -0.5 : 0;
  const auto x = uniforms(n * std::max(d, 1), low), y = uniforms(n * std::max(d, 1), low);
  std::vector<T> h(padded(n), static_cast<T>(-kInfinity));
  for (std::int64_t j = 0; j < n; ++j)
    h[j] = static_cast<T>(-eps * std::log(static_cast<double>(n)));
  const OnDevice<T> dx(panels_of(x, n, d)), dy(panels_of(y, n, d)), dnx(norms_of(x, n, d)),
      dny(norms_of(y, n, d)), dh(h),
      matrix(kind.form == Form::matrix ? uniforms(n * n, 0) : std::vector<T>());
  Pairs<T> p;
  p.form = kind.form, p.scale = static_cast<T>(kind.scale), p.power = static_cast<T>(kind.power);
  p.n = p.m = n;
  if (kind.form == Form::matrix) {
    p.matrix = matrix.data();
    p.row_stride = kind.transposed ? 1 : n, p.col_stride = kind.transposed ? n : 1;
  } else {
    p.rows = {dx.data(), kind.norms ? dnx.data() : nullptr, n, d};
    p.cols = {dy.data(), kind.norms ? dny.data() : nullptr, n, d};
  }
  std::printf("%-22s %s n %lld eps %g\n", kind.name, sizeof(T) == 4 ? "float" : "double",
              static_cast<long long>(n), eps);
  double softmin_rate = 0;
  const auto report = [&](const char* name, const std::function<void()>& call) {
    const double ms = time_of(call), rate = static_cast<double>(n) * n / ms * 1e3;
    if (softmin_rate == 0) softmin_rate = rate;
    std::printf("  %-18s %9.4f ms  %.3e pairs/s  %.2f\n", name, ms, rate, rate / softmin_rate);
    std::fflush(stdout);
  };
  OnDevice<double> potential(n);
  OnDevice<T> shift(n);
  const SoftminArgs<T> first{
      .pairs = p, .h = dh.data(), .shift = nullptr, .out = potential.data(), .eps = eps};
  cuda::softmin(first, exec);
  auto again = first;
  OnDevice<double> out64(n);
  again.shift = potential.data(), again.out = out64.data();
  report("softmin", [&] { cuda::softmin(again, exec); });
  const auto s = potential.host();
  const OnDevice<T> dshift(std::vector<T>(s.begin(), s.end()));
  const auto v = uniforms(n * 64, 0);
  const OnDevice<T> dv(v);
  OnDevice<T> out(n * 64);
  ApplyArgs<T> apply_args{.pairs = p,
                          .h = dh.data(),
                          .shift = dshift.data(),
                          .weighting = Weighting::plain,
                          .v = nullptr,
                          .v_row = 1,
                          .v_col = n,
                          .k = 1,
                          .out = out.data(),
                          .eps = eps};
  report("apply ones", [&] { cuda::apply(apply_args, exec); });
  apply_args.v = dv.data();
  for (const int k : {1, 3, 4, 8, 16, 64}) {
    apply_args.k = k, apply_args.v_row = k, apply_args.v_col = 1;
    report(("apply k=" + std::to_string(k)).c_str(), [&] { cuda::apply(apply_args, exec); });
  }
  apply_args.k = 1, apply_args.weighting = Weighting::cost;
  report("apply cost", [&] { cuda::apply(apply_args, exec); });
  apply_args.weighting = Weighting::squared;
  report("apply squared", [&] { cuda::apply(apply_args, exec); });
  if (kind.form != Form::matrix)
    report("pull", [&] {
      cuda::pull(PullArgs<T>{p, dh.data(), dshift.data(), out.data(), eps}, exec);
    });
  const int dim = std::min(std::max(d, 1), 4);
  const OnDevice<T> dz(panels_of(uniforms(n * dim, 0), n, dim)),
      center(std::vector<T>(n * dim, T(0.5)));
  OnDevice<T> second(n * 16);
  report("moments", [&] {
    cuda::moments(MomentsArgs<T>{p,
                                 dh.data(),
                                 dshift.data(),
                                 {dz.data(), nullptr, n, dim},
                                 center.data(),
                                 out.data(),
                                 out.data() + n,
                                 second.data(),
                                 eps},
                  exec);
  });
  std::vector<std::int64_t> rows(n), counts(n, 1);
  for (std::int64_t i = 0; i < n; ++i) rows[i] = i;
  const OnDevice<std::int64_t> drows(rows), dcounts(counts), doffsets(rows);
  OnDevice<std::int64_t> columns(n * 32);
  report("draw", [&] {
    cuda::draw(DrawArgs<T>{p, dh.data(), dshift.data(), drows.data(), dcounts.data(),
                           doffsets.data(), n, 5, columns.data(), eps},
               exec);
  });
  OnDevice<T> softmin(n);
  for (const int k : {8, 32})
    report(("top_k k=" + std::to_string(k)).c_str(), [&] {
      cuda::top_k(TopKArgs<T>{p, dh.data(), dshift.data(), k, columns.data(), out.data(),
                              softmin.data(), eps},
                  exec);
    });
  const OnDevice<T> threshold(std::vector<T>(n, T(0.01)));
  report("select count", [&] {
    cuda::select(SelectArgs<T>{p, dh.data(), dshift.data(), threshold.data(), columns.data(),
                               nullptr, nullptr, out.data(), eps},
                 exec);
  });
}

template <class T>
void time_updates(std::int64_t n, Exec& exec) {
  const std::vector<T> ones(n, T(1.0 / n)), f(n, T(0.1));
  const std::vector<double> s(n, 0.1);
  const OnDevice<T> da(ones), df(f), dg(f);
  const OnDevice<double> ds(s), dt(s), dlog(s);
  OnDevice<T> dh(padded(n));
  const VectorView<const T> weight(da.data(), n, 1, exec.device);
  std::printf("updates %s n %lld\n", sizeof(T) == 4 ? "float" : "double",
              static_cast<long long>(n));
  const auto report = [&](const char* name, const std::function<void()>& call) {
    std::printf("  %-18s %9.4f ms\n", name, time_of(call));
  };
  report("bias", [&] {
    cuda::each(BiasArgs<T>{df.data(), dlog.data(), n, 0.1, dh.data()}, padded(n), exec);
  });
  Penalty penalty;
  HalfStepArgs<T> step{ds.data(), df.data(), weight, 1.0, penalty, nullptr, 0.1, 1.0};
  report("half_step 1", [&] { cuda::half_step(step, exec); });
  step.omega = 1.5;
  report("half_step 1.5", [&] { cuda::half_step(step, exec); });
  MeasureArgs<T> side{};
  side.f = df.data(), side.s = ds.data(), side.weight = weight, side.optimality = true;
  const MeasureArgs<T> sides[] = {side, side};
  Measures out[2];
  report("measure both", [&] { cuda::measure<T>(sides, out, exec); });
  penalty.kind = Penalty::Kind::kl, penalty.strength = 1;
  const MovedSide<T> lead{df.data(), ds.data(), weight, 1.0, penalty},
      follow{dg.data(), dt.data(), weight, 1.0, penalty};
  report("translate", [&] { cuda::translate(TranslateArgs<T>{lead, follow}, exec); });
}

int run(bool check, bool timing) {
  Exec exec;
  exec.device = {DeviceKind::cuda, 0};
  cudaDeviceProp properties;
  must(cudaGetDeviceProperties(&properties, 0), "device");
  int driver = 0;
  cudaDriverGetVersion(&driver);
  std::printf("%s, driver for CUDA %d.%d\n", properties.name, driver / 1000, driver % 1000 / 10);
  if (check) {
    check_all<float>(exec);
    check_all<double>(exec);
    std::printf("%ld values checked, %ld failures; the largest error over its tolerance:\n",
                score.checked, score.failed);
    for (const auto& [verb, worst] : score.worst)
      std::printf("  %-18s %.3f\n", verb.c_str(), worst);
    for (const auto& [verb, count] : score.failures)
      std::printf("  %-18s %ld FAILED\n", verb.c_str(), count);
    std::fflush(stdout);
  }
  if (timing) {
    time_all<float>({"squared d=3", Form::squared, 3}, 10000, 0.05, exec);
    time_all<float>({"squared d=64 product", Form::squared, 64, 1, 2, true}, 10000, 1, exec);
    time_all<double>({"squared d=3", Form::squared, 3}, 10000, 0.05, exec);
    time_all<double>({"squared d=64 product", Form::squared, 64, 1, 2, true}, 10000, 1, exec);
    time_all<float>({"squared d=2", Form::squared, 2}, 10000, 0.05, exec);
    time_all<float>({"distance d=3", Form::distance, 3}, 10000, 0.1, exec);
    time_all<float>({"power 1.5 d=3", Form::power, 3, 1, 1.5}, 10000, 0.1, exec);
    time_all<float>({"matrix by rows", Form::matrix, 0}, 10000, 0.1, exec);
    time_all<float>({"matrix by columns", Form::matrix, 0, 1, 2, false, true}, 10000, 0.1, exec);
    time_all<float>({"squared d=3", Form::squared, 3}, 50000, 0.05, exec);
    time_updates<float>(10000, exec);
    time_updates<float>(1000000, exec);
  }
  return score.failed > 0;
}
}  // namespace
}  // namespace monge::bench

int main(int count, char** words) {
  bool check = count == 1, timing = count == 1;
  for (int at = 1; at < count; ++at) {
    check |= std::strcmp(words[at], "--check") == 0;
    timing |= std::strcmp(words[at], "--time") == 0;
  }
  return monge::bench::run(check, timing);
}
