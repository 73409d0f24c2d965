// Check and benchmark of softmin on CUDA: every form, type and awkward shape against a float64 loop
// on the host; 20 half-steps by events, warm (each has its previous result as shift) and cold (the
// first two have none); the error of f / eps after 10 iterations against the same in double.
// Arguments choose: check, error3, error64, time3, time64, time, more. None: all of them.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "cuda/launch.cuh"
#include "cuda/split.hpp"
#include "kernels/softmin.hpp"

namespace monge::kernels::cuda {
template <class T>
void softmin(const SoftminArgs<T>&, Exec&);
}

namespace {
using namespace monge::kernels;
using monge::Exec;
using monge::cuda::check;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
class Array {
 public:
  Array() = default;
  explicit Array(std::size_t size) : size_(size) {
    check(cudaMalloc(&data_, std::max<std::size_t>(size, 1) * sizeof(T)), "memory");
  }
  explicit Array(const std::vector<T>& from) : Array(from.size()) { set(from); }
  Array(Array&& other) noexcept { *this = std::move(other); }
  Array& operator=(Array&& other) noexcept {
    std::swap(data_, other.data_), std::swap(size_, other.size_);
    return *this;
  }
  ~Array() { cudaFree(data_); }
  void set(const std::vector<T>& from) {
    check(cudaMemcpy(data_, from.data(), size_ * sizeof(T), cudaMemcpyHostToDevice), "copy");
  }
  std::vector<T> get() const {
    std::vector<T> to(size_);
    check(cudaMemcpy(to.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "copy");
    return to;
  }
  T* data() const { return data_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

// Points on the host as the kernels see them, on the device as Panels and split.
template <class T>
struct Points {
  std::int64_t count;
  int dim;
  std::vector<T> host;  // [count, dim]
  Array<T> data, norms;
  Array<std::byte> halves;

  Points(std::int64_t count, int dim, std::uint64_t seed, double spread = 1, double offset = 0)
      : count(count), dim(dim), host(count * dim) {
    std::mt19937_64 random(seed);
    std::normal_distribution<double> normal;
    for (T& x : host) x = static_cast<T>(offset + spread * normal(random));
    std::vector<T> packed(padded(count) * dim), squares(padded(count));
    for (std::int64_t i = 0; i < count; ++i) {
      T norm = 0;
      for (int k = 0; k < dim; ++k) {
        const T x = host[i * dim + k];
        packed[(i / kPanel * dim + k) * kPanel + i % kPanel] = x;
        norm = std::fma(x, x, norm);
      }
      squares[i] = norm;
    }
    data = Array<T>(packed);
    norms = Array<T>(squares);
    if constexpr (sizeof(T) == 4) {
      halves = Array<std::byte>(monge::cuda::SplitLayout(count, dim).bytes());
      Exec exec;
      monge::cuda::split(panels(false), halves.data(), exec);
    }
  }
  Panels<T> panels(bool with_norms) const {
    return {.data = data.data(),
            .norms = with_norms ? norms.data() : nullptr,
            .count = count,
            .dim = dim};
  }
};

struct Case {
  const char* name;
  Form form;
  bool product;
  int layout = 0;  // of a matrix: 0 rows contiguous, 1 columns
};

double host_cost(const Case& c, const double* x, const double* y, int dim, double scale,
                 double power) {
  double squared = 0, dot = 0;
  for (int k = 0; k < dim; ++k) squared += (x[k] - y[k]) * (x[k] - y[k]), dot += x[k] * y[k];
  switch (c.form) {
    case Form::distance:
      return scale * std::sqrt(squared);
    case Form::power:
      return scale * std::pow(squared, power / 2);
    case Form::dot:
      return -scale * dot;
    default:
      return scale * squared;
  }
}

int failures = 0;
double worst = 0;

template <class T>
void check_case(const Case& c, std::int64_t n, std::int64_t m, int dim, double eps, int shift_kind,
                bool removed, bool listed, Precision precision, bool tensor) {
  const double scale = c.form == Form::squared ? 1.0 : 0.7, power = 1.5;
  const Points<T> x(n, dim, 1000 + n), y(m, dim, 2000 + m, 0.8);
  std::mt19937_64 random(n * 7 + m);
  std::uniform_real_distribution<double> uniform;
  std::vector<T> h(padded(m), static_cast<T>(-kInfinity));
  for (std::int64_t j = 0; j < m; ++j)
    if (!removed || uniform(random) < 0.5)
      h[j] = static_cast<T>(uniform(random) - eps * std::log(double(m)));
  std::vector<T> matrix;
  const std::int64_t leading = c.layout == 0 ? m + 3 : n + 5;
  if (c.form == Form::matrix) {
    matrix.resize(leading * (c.layout == 0 ? n : m));
    for (T& v : matrix)
      v = uniform(random) < 0.2 ? static_cast<T>(kInfinity) : static_cast<T>(3 * uniform(random));
  }
  // Lists: every row block a different subset, one of them empty.
  const std::int64_t row_blocks = (n + kRowBlock - 1) / kRowBlock;
  const std::int64_t column_blocks = (m + kColumnBlock - 1) / kColumnBlock;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> blocks;
  std::vector<char> wanted(row_blocks * column_blocks, 1);
  if (listed) {
    for (std::int64_t r = 0; r < row_blocks; ++r) {
      for (std::int64_t b = 0; b < column_blocks; ++b) {
        const bool take = r != 2 && uniform(random) < 0.6;
        wanted[r * column_blocks + b] = take;
        if (take) blocks.push_back(static_cast<std::int32_t>(b));
      }
      offsets.push_back(static_cast<std::int64_t>(blocks.size()));
    }
  }
  const Array<T> device_h(h), device_matrix(matrix);
  const Array<std::int64_t> device_offsets(offsets);
  const Array<std::int32_t> device_blocks(blocks);
  const BlockList list{device_offsets.data(), device_blocks.data()};

  // Reference, and the size of the scores that rounding is relative to.
  std::vector<double> want(n), size(n);
  const std::vector<double> xd(x.host.begin(), x.host.end()), yd(y.host.begin(), y.host.end());
  for (std::int64_t i = 0; i < n; ++i) {
    std::vector<double> scores(m, -kInfinity);
    double top = -kInfinity, largest = 0;
    for (std::int64_t j = 0; j < m; ++j) {
      if (!wanted[i / kRowBlock * column_blocks + j / kColumnBlock]) continue;
      const double cost = c.form == Form::matrix
                              ? double(matrix[c.layout == 0 ? i * leading + j : i + j * leading])
                              : host_cost(c, &xd[i * dim], &yd[j * dim], dim, scale, power);
      scores[j] = double(h[j]) - cost;
      top = std::max(top, scores[j]);
    }
    double sum = 0;
    for (std::int64_t j = 0; j < m; ++j) {
      sum += scores[j] == -kInfinity ? 0 : std::exp((scores[j] - top) / eps);
      if (scores[j] > top - 20 * eps) {
        double terms = std::abs(double(h[j]));
        double nx = 0, ny = 0;
        for (int k = 0; k < dim; ++k)
          nx += xd[i * dim + k] * xd[i * dim + k], ny += yd[j * dim + k] * yd[j * dim + k];
        terms += c.product ? scale * (nx + ny + 2 * std::sqrt(nx * ny))
                           : std::abs(double(h[j]) - scores[j]);
        largest = std::max(largest, terms);
      }
    }
    want[i] = top == -kInfinity ? kInfinity : -(top + eps * std::log(sum));
    size[i] = largest;
  }

  Array<double> out(n);
  std::vector<double> start(n, 0.0);
  for (std::int64_t i = 0; i < n; ++i) {
    start[i] = std::isinf(want[i]) ? 0 : want[i] + eps * (uniform(random) - 0.5);
    if (shift_kind == 2) start[i] += (i % 3 == 0 ? 100 : 0) * eps;            // some stale
    if (shift_kind == 3) start[i] = i % 2 ? 1e30 : -std::abs(start[i]) * 50;  // all of them
  }
  out.set(start);
  SoftminArgs<T> args{.pairs = {.form = c.form,
                                .scale = T(scale),
                                .power = T(power),
                                .rows = x.panels(c.product && c.form == Form::squared),
                                .cols = y.panels(c.product && c.form == Form::squared),
                                .matrix = device_matrix.data(),
                                .row_stride = c.layout == 0 ? leading : 1,
                                .col_stride = c.layout == 0 ? 1 : leading,
                                .n = n,
                                .m = m,
                                .list = listed ? &list : nullptr},
                      .h = device_h.data(),
                      .shift = shift_kind == 0 ? nullptr : out.data(),
                      .out = out.data(),
                      .eps = eps,
                      .precision = precision};
  if (tensor) args.split_rows = x.halves.data(), args.split_cols = y.halves.data();
  Exec exec;
  cuda::softmin(args, exec);
  check(cudaDeviceSynchronize(), "softmin");
  const std::vector<double> got = out.get();
  out.set(start);
  cuda::softmin(args, exec);
  check(cudaDeviceSynchronize(), "softmin");
  const std::vector<double> again = out.get();

  // Scores carry `dim + 8` roundings of their terms; the exponential 2^-21 of eps in float.
  const double ulp = std::numeric_limits<T>::epsilon();
  double most = 0;
  std::int64_t at = -1;
  bool repeats = std::memcmp(got.data(), again.data(), n * sizeof(double)) == 0;
  for (std::int64_t i = 0; i < n; ++i) {
    double bound =
        ulp * ((c.product ? dim + 8 : dim / 2 + 8) * size[i] + std::abs(want[i])) + 8 * ulp * eps;
    if (c.product && tensor && precision == Precision::accurate) bound += 4 * ulp * size[i];
    if (tensor && precision == Precision::fast) bound += 0x1p-10 * size[i] + 2e-4 * eps;
    const double error = got[i] == want[i] ? 0 : std::abs(got[i] - want[i]) / bound;
    if (!(error <= most)) most = std::isnan(error) ? kInfinity : error, at = i;
  }
  worst = std::max(worst, std::isinf(most) ? worst : most);
  if (most <= 1 && repeats) return;
  if (++failures < 40)
    std::printf(
        "FAIL %s%s %s n=%ld m=%ld d=%d eps=%g shift=%d removed=%d list=%d prec=%d: row %ld "
        "got %.10g want %.10g (%.3g of the bound)%s\n",
        c.name, tensor ? " tensor" : "", sizeof(T) == 4 ? "float" : "double", (long)n, (long)m, dim,
        eps, shift_kind, removed, listed, (int)precision, (long)at, at >= 0 ? got[at] : 0,
        at >= 0 ? want[at] : 0, most, repeats ? "" : " NOT REPEATED");
}

template <class T>
void check_all() {
  const Case cases[] = {{"squared", Form::squared, false},
                        {"product", Form::squared, true},
                        {"distance", Form::distance, false},
                        {"power", Form::power, false},
                        {"dot", Form::dot, true},
                        {"rows", Form::matrix, false, 0},
                        {"columns", Form::matrix, false, 1}};
  const std::int64_t sizes[] = {1, 15, 16, 17, 63, 64, 65, 300, 1000};
  int count = 0;
  const auto each = [&](const Case& c, std::int64_t n, std::int64_t m, int dim, double eps,
                        int shift, bool removed, bool listed) {
    check_case<T>(c, n, m, dim, eps, shift, removed, listed, Precision::accurate, false), ++count;
    if (sizeof(T) == 4 && c.product && (dim > 4 || c.form == Form::dot)) {
      check_case<T>(c, n, m, dim, eps, shift, removed, listed, Precision::accurate, true), ++count;
      check_case<T>(c, n, m, dim, eps, shift, removed, listed, Precision::fast, true), ++count;
    }
  };
  for (const Case& c : cases) {
    const int before = failures;
    for (const std::int64_t n : sizes)
      for (const std::int64_t m : sizes) {
        if (n == 1000 && m == 1000) continue;
        each(c, n, m, (n + m) % 2 ? 3 : 17, 0.1, 1, false, false);
      }
    if (c.form != Form::matrix)
      for (const int dim : {1, 2, 3, 4, 5, 16, 20, 33, 48, 64, 70, 130, 200})
        each(c, 130, 700, dim, 0.5, 1, false, false);
    for (const double eps : {1e-6, 1e-4, 1e-2, 1.0, 1e2})
      for (const int shift : {0, 1, 2, 3})
        for (const int dim : {3, 40}) each(c, 65, 300, dim, eps, shift, false, false);
    for (const int shift : {0, 1, 2, 3})
      for (const bool listed : {false, true})
        for (const int dim : {3, 64, 100}) {
          each(c, 300, 1000, dim, 0.3, shift, true, listed);
          each(c, 257, 2700, dim, 0.3, shift, false, listed);
        }
    std::printf("%s %-9s %s\n", sizeof(T) == 4 ? "float " : "double", c.name,
                failures == before ? "ok" : "FAILED");
    std::fflush(stdout);
  }
  std::printf("%s: %d cases, worst error %.2f of its bound\n", sizeof(T) == 4 ? "float" : "double",
              count, worst);
}

template <class T>
__global__ void update(const double* potential, const T* weights, double eps, std::int64_t n,
                       T* h) {
  const std::int64_t i = blockIdx.x * std::int64_t{blockDim.x} + threadIdx.x;
  if (i < n) h[i] = static_cast<T>(potential[i] + eps * weights[i]);
}

// Alternating Sinkhorn from zero; weights are positive and random.
template <class T>
struct Run {
  Points<T> x, y;
  Array<T> log_a, log_b, hf, hg;
  Array<double> f, g;
  Exec exec;
  double eps;
  bool product, tensor;
  Precision precision;

  Run(std::int64_t n, int dim, double eps, bool product, bool tensor, Precision precision)
      : x(n, dim, 1),
        y(n, dim, 2),
        hf(padded(n)),
        hg(padded(n)),
        f(n),
        g(n),
        eps(eps),
        product(product),
        tensor(tensor),
        precision(precision) {
    log_a = Array<T>(log_weights(n, 3));
    log_b = Array<T>(log_weights(n, 4));
    reset();
  }
  static std::vector<T> log_weights(std::int64_t n, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> uniform(0.5, 1.5);
    std::vector<double> w(n);
    double sum = 0;
    for (double& v : w) sum += v = uniform(random);
    std::vector<T> out(n);
    for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(std::log(w[i] / sum));
    return out;
  }
  void reset() {
    const std::int64_t n = x.count;
    std::vector<T> h(padded(n), static_cast<T>(-kInfinity)), b = log_b.get();
    for (std::int64_t j = 0; j < n; ++j) h[j] = static_cast<T>(eps * b[j]);
    hg.set(h);
    std::fill(h.begin(), h.end(), static_cast<T>(-kInfinity));
    hf.set(h);
    warm = false;
  }
  bool warm = false;
  void half(const Points<T>& rows, const Points<T>& cols, const Array<T>& h, Array<double>& out,
            const Array<T>& log_w, Array<T>& h_out) {
    SoftminArgs<T> args{.pairs = {.rows = rows.panels(product),
                                  .cols = cols.panels(product),
                                  .n = rows.count,
                                  .m = cols.count},
                        .h = h.data(),
                        .shift = warm ? out.data() : nullptr,
                        .out = out.data(),
                        .eps = eps,
                        .precision = precision};
    if (tensor) args.split_rows = rows.halves.data(), args.split_cols = cols.halves.data();
    cuda::softmin(args, exec);
    update<T><<<static_cast<unsigned>((rows.count + 255) / 256), 256>>>(
        out.data(), log_w.data(), eps, rows.count, h_out.data());
  }
  void iterate(int count) {
    for (int t = 0; t < count; ++t) {
      half(x, y, hg, f, log_a, hf);
      half(y, x, hf, g, log_b, hg);
      warm = true;
    }
  }
};

template <class T>
void time_case(std::int64_t n, int dim, bool product, bool tensor, Precision precision,
               const char* name, int repeats = 11) {
  Run<T> run(n, dim, 0.1, product, tensor, precision);
  cudaEvent_t start, stop;
  check(cudaEventCreate(&start), "event");
  check(cudaEventCreate(&stop), "event");
  std::vector<float> cold, warm;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    float ms;
    run.reset();
    check(cudaDeviceSynchronize(), "run");
    cudaEventRecord(start);
    run.iterate(10);
    cudaEventRecord(stop);
    check(cudaEventSynchronize(stop), "run");
    cudaEventElapsedTime(&ms, start, stop);
    cold.push_back(ms);
    cudaEventRecord(start);
    run.iterate(10);
    cudaEventRecord(stop);
    check(cudaEventSynchronize(stop), "run");
    cudaEventElapsedTime(&ms, start, stop);
    warm.push_back(ms);
  }
  std::sort(cold.begin(), cold.end());
  std::sort(warm.begin(), warm.end());
  const double ms = warm[repeats / 2], pairs = 20.0 * n * n;
  std::printf(
      "%-34s n=%7ld d=%4d  %8.3f ms warm (%.3f..%.3f)  %8.3f cold  %.3e pairs/s, %5.1f %% "
      "of ex2 at 1.755 GHz, %6.1f TFLOP/s a product\n",
      name, (long)n, dim, ms, warm.front(), warm.back(), cold[repeats / 2], pairs / ms * 1e3,
      pairs / ms * 1e5 / (132 * 16 * 1.755e9), 2e-12 * pairs * dim / ms * 1e3);
  std::fflush(stdout);
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
}

template <class T>
void error_case(int dim, double eps, bool product, bool tensor, Precision precision,
                const char* name) {
  constexpr std::int64_t n = 4096;
  Run<double> exact(n, dim, eps, false, false, Precision::accurate);
  Run<T> run(n, dim, eps, product, tensor, precision);
  if constexpr (sizeof(T) == 4) {  // the same problem: coordinates and weights that float holds
    for (auto* pair : {&exact.x, &exact.y}) {
      const Points<float>& from = pair == &exact.x ? run.x : run.y;
      std::vector<double> packed(padded(n) * dim);
      for (std::int64_t i = 0; i < n; ++i)
        for (int k = 0; k < dim; ++k)
          packed[(i / kPanel * dim + k) * kPanel + i % kPanel] = from.host[i * dim + k];
      pair->data.set(packed);
    }
    const std::vector<float> a = run.log_a.get(), b = run.log_b.get();
    exact.log_a.set({a.begin(), a.end()});
    exact.log_b.set({b.begin(), b.end()});
    exact.reset();
  }
  exact.iterate(10);
  run.iterate(10);
  check(cudaDeviceSynchronize(), "run");
  const std::vector<double> want = exact.f.get(), got = run.f.get();
  double sum = 0, most = 0, mean = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double error = (got[i] - want[i]) / eps;
    sum += error * error, mean += error;
    most = std::max(most, std::abs(error));
  }
  std::printf(
      "error of f/eps after 10 iterations %-26s d=%3d eps=%-4g rms %.2e max %.2e mean %+.2e\n",
      name, dim, eps, std::sqrt(sum / n), most, mean / n);
  std::fflush(stdout);
}
}  // namespace

int main(int argc, char** argv) {
  const auto wants = [&](const char* what) {
    return argc < 2 || std::any_of(argv + 1, argv + argc,
                                   [&](char* given) { return std::strcmp(given, what) == 0; });
  };
  using P = Precision;
  if (wants("check")) {
    check_all<float>();
    check_all<double>();
    std::printf("%d failures\n", failures);
  }
  if (wants("error3")) {
    for (const double eps : {0.1, 1.0, 10.0}) {
      error_case<float>(3, eps, false, false, P::accurate, "direct");
      error_case<float>(3, eps, true, false, P::accurate, "product");
    }
  }
  if (wants("error64")) {
    for (const double eps : {0.1, 1.0, 10.0}) {
      error_case<float>(64, eps, true, true, P::accurate, "tensor accurate");
      error_case<float>(64, eps, true, true, P::fast, "tensor fast");
      error_case<float>(64, eps, true, false, P::accurate, "fma");
    }
  }
  if (wants("time3")) {
    for (const std::int64_t n : {1000, 10000, 50000}) {
      time_case<float>(n, 3, false, false, P::accurate, "direct");
      time_case<float>(n, 3, true, false, P::accurate, "product");
    }
  }
  if (wants("time64")) {
    for (const std::int64_t n : {1000, 10000, 50000}) {
      time_case<float>(n, 64, true, true, P::accurate, "tensor accurate");
      time_case<float>(n, 64, true, true, P::fast, "tensor fast");
    }
  }
  if (wants("time")) {
    for (const int dim : {16, 32, 128, 512}) {
      time_case<float>(20000, dim, true, true, P::accurate, "tensor accurate", 5);
      time_case<float>(20000, dim, true, true, P::fast, "tensor fast", 5);
    }
  }
  if (wants("more")) {
    time_case<float>(10000, 64, true, false, P::accurate, "fma float", 3);
    time_case<double>(10000, 64, true, false, P::accurate, "fma double", 3);
    time_case<double>(10000, 3, false, false, P::accurate, "direct double", 3);
  }
  return failures > 0;
}
