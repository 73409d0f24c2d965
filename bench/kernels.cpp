// Time, pairs per second, shares of what this machine can do, and error of each kernel, over sizes
// and dimensions:
//   bench_kernels [--quick] [--threads T] [--kernel NAME] [--dim D] [--size N]
// `/peak` is pairs per second over the multiply-add peak in lanes; times d it is the share that the
// products of coordinates alone would take. `/softmin` is the rate over that of softmin with the
// squared Euclidean cost at the same shape; for a cost matrix `/read` is its bytes per second over
// those of a plain read of the same bytes. Errors are root mean squares over sampled rows, against
// double (for double: long double): absolute in out / eps for softmin, relative for sums of
// weights; for draw the share of draws that exact weights would not have given.
#include "peak.hpp"

#if HWY_ONCE
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "case.hpp"
#include "cpu/parallel.hpp"

namespace monge::bench {
namespace {
struct Options {
  bool quick = false;
  int threads = 0, dim = 0;
  std::int64_t size = 0;
  std::string kernel;
  double budget() const { return quick ? 0.1 : 0.4; }  // seconds a repeat; more pairs: fewer rows
  bool wants(const std::string& name) const { return kernel.empty() || kernel == name; }
};

/// A kernel: its name, one run of it, and its error on the sampled rows.
template <class T>
struct Kernel {
  std::string name;
  std::function<void(const Case<T>&, Exec&)> run;
  std::function<double(const Case<T>&)> error;
};

/// sqrt(mean of squares of error(row)).
template <class T, class Error>
double over_rows(const Case<T>& in, const Error& error) {
  double sum = 0;
  for (const std::int64_t i : in.sample()) sum += std::pow(static_cast<double>(error(i)), 2);
  return std::sqrt(sum / static_cast<double>(in.sample().size()));
}

/// The kernels, with their outputs.
template <class T>
class Kernels {
 public:
  static constexpr int kTopK = 32;

  explicit Kernels(const Case<T>& in)
      : softmin_(in.n), out_(in.n * std::max(in.dim, kTopK)), indices_(in.n * kTopK) {
    if (in.dim <= kLargestMoments) second_ = Buffer<T>(in.n * in.dim * in.dim);
    rows_.resize(in.n);
    counts_.assign(in.n, 1);
    for (std::int64_t i = 0; i < in.n; ++i) rows_[i] = i;
  }

  Kernel<T> softmin() {
    return {"softmin",
            [this](const Case<T>& in, Exec& exec) {
              in.op->softmin(Side::source, in.h.data(), in.softmin.data(), softmin_.data(), in.eps,
                             exec);
            },
            [this](const Case<T>& in) {
              return over_rows(in, [&](std::int64_t i) {
                const Real<T> scale = static_cast<Real<T>>(in.eps);
                return (softmin_[i] - in.shift[i]) / scale + std::log(sum(in.weights(i)));
              });
            }};
  }

  Kernel<T> apply() {
    return {"apply(1)",
            [this](const Case<T>& in, Exec& exec) {
              in.op->apply(Side::source, in.h.data(), in.shift.data(), kernels::Weighting::plain,
                           {in.y.data(), in.m, 1, in.dim, 1}, out_.data(), in.eps, exec);
            },
            [this](const Case<T>& in) {
              return over_rows(in, [&](std::int64_t i) {
                const auto w = in.weights(i);
                Real<T> want = 0;
                for (std::int64_t j = 0; j < in.m; ++j) want += w[j] * in.y[j * in.dim];
                return out_[i] / want - 1;
              });
            }};
  }

  Kernel<T> pull() {
    return {"pull",
            [this](const Case<T>& in, Exec& exec) {
              in.op->pull(Side::source, in.h.data(), in.shift.data(), out_.data(), in.eps, exec);
            },
            [this](const Case<T>& in) {  // over the sum of |terms|: the sum itself may cancel
              return over_rows(in, [&](std::int64_t i) {
                const auto w = in.weights(i);
                Real<T> want = 0, size = 0;
                for (std::int64_t j = 0; j < in.m; ++j) {
                  const Real<T> u = static_cast<Real<T>>(in.x[i * in.dim]) - in.y[j * in.dim];
                  want += 2 * w[j] * u;
                  size += std::abs(2 * w[j] * u);
                }
                return (out_[i * in.dim] - want) / size;
              });
            }};
  }

  Kernel<T> moments() {
    return {"moments",
            [this](const Case<T>& in, Exec& exec) {
              in.op->moments(Side::source, in.h.data(), in.shift.data(),
                             {in.y.data(), in.m, in.dim}, in.center.data(), mass(in), first(in),
                             second_.data(), in.eps, exec);
            },
            [this](const Case<T>& in) {
              return over_rows(in, [&](std::int64_t i) {
                const auto w = in.weights(i);
                Real<T> want = 0;
                for (std::int64_t j = 0; j < in.m; ++j) {
                  const Real<T> u = static_cast<Real<T>>(in.y[j * in.dim]) - in.center[i * in.dim];
                  want += w[j] * u * u;
                }
                return second_[i * in.dim * in.dim] / want - 1;
              });
            }};
  }

  Kernel<T> top_k() {
    return {"top_k(32)",
            [this](const Case<T>& in, Exec& exec) {
              in.op->top_k(Side::source, in.h.data(), in.shift.data(), kTopK, indices_.data(),
                           out_.data(), nullptr, in.eps, exec);
            },
            [this](const Case<T>& in) {
              return over_rows(in, [&](std::int64_t i) {
                auto w = in.weights(i);
                std::nth_element(w.begin(), w.begin() + kTopK - 1, w.end(), std::greater<>());
                return out_[i * kTopK + kTopK - 1] / w[kTopK - 1] - 1;
              });
            }};
  }

  Kernel<T> draw() {
    return {"draw(1)",
            [this](const Case<T>& in, Exec& exec) {
              in.op->draw(Side::source, in.h.data(), in.shift.data(), rows_, counts_, kSeed,
                          indices_.data(), in.eps, exec);
            },
            [this](const Case<T>& in) {
              double differ = 0;
              for (const std::int64_t i : in.sample()) {
                const auto w = in.weights(i);
                Real<T> left = sum(w) * static_cast<Real<T>>(philox_uniform(kSeed, i, 0));
                std::int64_t j = 0;
                while (j + 1 < in.m && left > w[j]) left -= w[j++];
                differ += j != indices_[i];
              }
              return differ / static_cast<double>(in.sample().size());
            }};
  }

  static bool has_moments(int dim) { return dim <= kLargestMoments; }

 private:
  static constexpr int kLargestMoments = 8;  // d^2 numbers a row: not meant for large d
  static constexpr std::uint64_t kSeed = 7;

  static Real<T> sum(const std::vector<Real<T>>& w) {
    Real<T> total = 0;
    for (const Real<T> value : w) total += value;
    return total;
  }
  T* mass(const Case<T>&) { return out_.data(); }
  T* first(const Case<T>& in) { return out_.data() + in.n; }

  Buffer<double> softmin_;
  Buffer<T> out_, second_;
  Buffer<std::int64_t> indices_;
  std::vector<std::int64_t> rows_, counts_;
};

template <class T>
class Table {
 public:
  Table(const Options& options, double peak) : options_(options), peak_(peak) {
    exec_.threads = options.threads;
  }

  void measure(std::int64_t size, int dim) {
    softmin_rate_ = 0;
    {
      const Case<T> in(rows_of(size, dim), size, dim, SquaredEuclidean{}, false, exec_);
      Kernels<T> kernels(in);
      row(in, kernels.softmin());
      row(in, kernels.apply());
      row(in, kernels.pull());
      if (Kernels<T>::has_moments(dim)) row(in, kernels.moments());
      row(in, kernels.top_k());
      row(in, kernels.draw());
    }
    for (const Cost& cost : {Cost{HalfSquaredEuclidean{}}, Cost{Euclidean{}}, Cost{Power{1.5}},
                             Cost{Cosine{}}, Cost{Dot{}}}) {
      const Case<T> in(rows_of(size, dim), size, dim, cost, false, exec_);
      Kernels<T> kernels(in);
      auto kernel = kernels.softmin();
      kernel.name = cost_name(cost);
      row(in, kernel);
    }
  }

  // One dimension suffices: the costs are read.
  void measure_matrix(std::int64_t size) {
    if (!options_.wants("matrix")) return;
    const std::int64_t n = std::min<std::int64_t>(size, 400000000 / sizeof(T) / size / 64 * 64);
    const Case<T> in(n, size, 3, SquaredEuclidean{}, true, exec_);
    Kernels<T> kernels(in);
    auto kernel = kernels.softmin();
    kernel.name = "matrix";
    softmin_rate_ = 0;
    const double bytes = static_cast<double>(n) * static_cast<double>(size) * sizeof(T);
    const double read = read_peak(in.matrix.data(), static_cast<std::size_t>(bytes),
                                  monge::cpu::thread_count(exec_));
    const double rate = row(in, kernel);
    std::printf("%-14s %-6s %8lld %4s %10s %10.3e bytes/s read plainly, /read %.3f\n", "", type(),
                static_cast<long long>(size), "", "", read, rate * sizeof(T) / read);
  }

 private:
  static const char* type() { return sizeof(T) == 4 ? "float" : "double"; }

  // What the budget allows at half the peak, whole blocks of rows.
  std::int64_t rows_of(std::int64_t size, int dim) const {
    const double rows = options_.budget() * (peak_ / 2) / (dim + 14.0) / static_cast<double>(size);
    if (rows >= static_cast<double>(size)) return size;
    return std::max<std::int64_t>(128, static_cast<std::int64_t>(rows) / 64 * 64);
  }

  double row(const Case<T>& in, const Kernel<T>& kernel) {
    const bool reference = kernel.name == "softmin";
    if (!options_.wants(kernel.name) && !reference) return 0;
    kernel.run(in, exec_);
    const double error = kernel.error(in);
    double best = std::numeric_limits<double>::infinity(), spent = 0;
    for (int repeat = 0; repeat < 5 || (spent < options_.budget() && repeat < 200); ++repeat) {
      const double start = seconds();
      kernel.run(in, exec_);
      const double time = seconds() - start;
      best = std::min(best, time);
      spent += time;
    }
    const double rate = static_cast<double>(in.n) * static_cast<double>(in.m) / best;
    if (reference) softmin_rate_ = rate;
    if (!options_.wants(kernel.name)) return rate;
    const double all_rows = static_cast<double>(in.m) / static_cast<double>(in.n);
    std::printf("%-14s %-6s %7lld%s %4d %10.3f %10.3e %8.4f %7.1f%%", kernel.name.c_str(), type(),
                static_cast<long long>(in.m), in.n < in.m ? "*" : " ", in.dim,
                1e3 * best * all_rows, rate, rate / peak_, 100 * rate * in.dim / peak_);
    if (softmin_rate_ > 0)
      std::printf(" %8.2f", rate / softmin_rate_);
    else
      std::printf(" %8s", "");
    std::printf(" %9.1e\n", error);
    std::fflush(stdout);
    return rate;
  }

  const Options& options_;
  const double peak_;
  double softmin_rate_ = 0;
  Exec exec_;
};

int run(const Options& options) {
  Exec exec;
  exec.threads = options.threads;
  const int threads = monge::cpu::thread_count(exec);
  const double peak = fma_peak<float>(threads), peak64 = fma_peak<double>(threads);
  std::printf("target %s, %d threads, multiply-add peak %.3e float and %.3e double lanes/s\n",
              monge::cpu::target_name(), threads, peak, peak64);
  std::printf("%-14s %-6s %8s %4s %10s %10s %8s %8s %8s %9s\n", "kernel", "type", "n = m", "d",
              "ms", "pairs/s", "/peak", "d /peak", "/softmin", "error");
  Table<float> floats(options, peak);
  Table<double> doubles(options, peak64);
  for (const std::int64_t size : {1000, 10000, 100000}) {
    if (options.size && options.size != size) continue;
    for (const int dim : {1, 2, 3, 8, 64, 512}) {
      if (options.dim && options.dim != dim) continue;
      floats.measure(size, dim);
      doubles.measure(size, dim);
    }
    floats.measure_matrix(size);
    doubles.measure_matrix(size);
  }
  std::printf("* fewer rows than columns: the time of all rows is extrapolated\n");
  return 0;
}
}  // namespace
}  // namespace monge::bench

int main(int count, char** words) {
  monge::bench::Options options;
  for (int at = 1; at < count; ++at) {
    const std::string word = words[at];
    const auto value = [&] { return at + 1 < count ? words[++at] : ""; };
    if (word == "--quick")
      options.quick = true;
    else if (word == "--threads")
      options.threads = std::atoi(value());
    else if (word == "--kernel")
      options.kernel = value();
    else if (word == "--dim")
      options.dim = std::atoi(value());
    else if (word == "--size")
      options.size = std::atoll(value());
    else
      return std::fprintf(stderr, "bench_kernels: unknown option %s\n", words[at]), 2;
  }
  return monge::bench::run(options);
}
#endif
