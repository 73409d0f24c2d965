// Time, pairs per second, shares of what this device can do, and error of each kernel, over sizes
// and dimensions: bench_kernels --help. A time is that of all n rows. `cold` is softmin without a
// shift, as the first half-step has none; `fast` is one product on tensor cores; a row with the
// name of a cost is softmin with it.
// `/peak` is pairs per second over the multiply-add peak in lanes, times d it is the share that the
// products of coordinates alone would take; on a GPU `/peak` is over the exponentials that its unit
// can do. `/softmin` is the rate over that of softmin with the squared Euclidean cost at the same
// shape; for a cost matrix and an absorbed kernel `/read` is its bytes per second over those of a
// plain read of the same bytes. Errors are root mean squares over sampled rows, against double (for
// double: long double): absolute in out / eps for softmin, of an absorbed kernel against the
// streamed one; over the sum of magnitudes for sums of weights; for draw how far the uniform number
// lies outside of what the cumulative sum gives to the column.
#include "peak.hpp"

#include <cstdio>
#include <functional>
#include <numeric>
#include <string>

#include "case.hpp"
#include "kernels/absorbed.hpp"
#include "kernels/entries.hpp"
#include "options.hpp"
#include "ot/arrays.hpp"

namespace monge::bench {
namespace {
constexpr int kTopK = 32;
constexpr int kLargestMoments = 8;  // d^2 numbers a row: not meant for large d
constexpr std::uint64_t kSeed = 7;

struct Kernel {
  std::string name;
  std::function<void()> run;
  std::function<double()> error;  ///< of what the last run left
};

/// The verbs on a case, with their outputs; what is packed or copied for one stands outside its
/// time.
template <class T>
class Kernels {
 public:
  Kernels(const Case<T>& in, Exec& exec)
      : in_(in),
        exec_(exec),
        n_(in.points.n),
        m_(in.points.m),
        dim_(in.points.dim),
        softmin_(in.softmin.copy()),
        out_(n_ * std::max({dim_, kTopK, kLargestMoments * kLargestMoments}), exec.device),
        indices_(n_ * kTopK, exec.device) {}

  Kernel softmin(const std::string& name = "softmin", bool warm = true) {
    return {name,
            [=, this] {
              in_.op->softmin(Side::source, in_.bias.data(), warm ? in_.softmin.data() : nullptr,
                              softmin_.data(), in_.eps, exec_);
            },
            [this] {
              const auto got = softmin_.to({});
              const auto shift = in_.shift.to({});
              return over_rows([&](std::int64_t i, const auto& w) {
                return (got[i] - shift[i]) / static_cast<Real<T>>(in_.eps) + std::log(sum(w));
              });
            }};
  }

  /// Softmin from a kernel in memory, over its rows or its columns.
  Kernel absorbed(Side rows) {
    const bool source = rows == Side::source;
    const auto padded = [this](const double* from, std::int64_t size) {
      Buffer<double> out(kernels::padded(size), exec_.device);
      kernels::each(kernels::FiniteArgs{from, size, 0.0, out.data()}, out.size(), exec_);
      return out;
    };
    f_ = padded(in_.softmin.data(), n_);
    g_ = padded(in_.bias.data(), m_);
    kernel_ = Buffer<T>(n_ * kernels::padded(m_), exec_.device);
    kernels::absorb<T>(
        {in_.op->pairs(Side::source, exec_), f_.data(), g_.data(), in_.eps, kernel_.data()}, exec_);
    softmin_ = Buffer<double>(source ? n_ : m_, exec_.device);
    return {source ? "absorbed(rows)" : "absorbed(columns)",
            [=, this] {
              kernels::softmin<T>({.pairs = in_.op->pairs(rows, exec_),
                                   .h = (source ? g_ : f_).data(),
                                   .shift = nullptr,
                                   .out = softmin_.data(),
                                   .eps = in_.eps},
                                  {kernel_.data(), kernels::padded(m_), !source,
                                   (source ? f_ : g_).data(), (source ? g_ : f_).data()},
                                  exec_);
            },
            [=, this] {  // from what is streamed
              Buffer<double> streamed(softmin_.size(), exec_.device);
              in_.op->softmin(rows, (source ? g_ : f_).data(), nullptr, streamed.data(), in_.eps,
                              exec_);
              const auto got = softmin_.to({}), want = streamed.to({});
              double sum = 0;
              for (std::int64_t i = 0; i < want.size(); ++i)
                sum += std::pow((got[i] - want[i]) / in_.eps, 2);
              return std::sqrt(sum / static_cast<double>(want.size()));
            }};
  }
  /// Its bytes per second, read plainly.
  double read_kernel() const {
    return read_peak(kernel_.data(), kernel_.size() * sizeof(T), exec_);
  }

  Kernel apply(int k) {
    return {"apply(" + std::to_string(k) + ")",
            [=, this] {
              in_.op->apply(Side::source, in_.h.data(), in_.shift.data(), kernels::Weighting::plain,
                            {in_.y.data(), m_, k, dim_, 1, exec_.device}, out_.data(), in_.eps,
                            exec_);
            },
            [=, this] {
              return error_of_sum(k, [this](auto, auto j) { return in_.points.y[j * dim_]; });
            }};
  }

  Kernel pull() {
    return {"pull",
            [this] {
              in_.op->pull(Side::source, in_.h.data(), in_.shift.data(), out_.data(), in_.eps,
                           exec_);
            },
            [this] {
              return error_of_sum(dim_, [this](auto i, auto j) {
                return 2 * (static_cast<Real<T>>(in_.points.x[i * dim_]) - in_.points.y[j * dim_]);
              });
            }};
  }

  Kernel moments() {
    values_ = pack<T>({in_.y.data(), m_, dim_, dim_, 1, exec_.device}, {}, exec_);
    center_ = filled(n_ * dim_, T(0), exec_);  // the mean of the targets
    mass_ = Buffer<T>(n_, exec_.device);
    first_ = Buffer<T>(n_ * dim_, exec_.device);
    return {"moments",
            [this] {
              kernels::moments<T>({.pairs = in_.op->pairs(Side::source, exec_),
                                   .h = in_.h.data(),
                                   .shift = in_.shift.data(),
                                   .values = values_.swept(),
                                   .center = center_.data(),
                                   .mass = mass_.data(),
                                   .first = first_.data(),
                                   .second = out_.data(),
                                   .eps = in_.eps},
                                  exec_);
            },
            [this] {
              return error_of_sum(dim_ * dim_, [this](auto, auto j) {
                const Real<T> y = in_.points.y[j * dim_];
                return y * y;
              });
            }};
  }

  Kernel top_k() {
    return {"top_k(" + std::to_string(kTopK) + ")",
            [this] {
              in_.op->top_k(Side::source, in_.h.data(), in_.shift.data(), kTopK, indices_.data(),
                            out_.data(), nullptr, in_.eps, exec_);
            },
            [this] {
              const auto got = out_.to({});
              return over_rows([&](std::int64_t i, auto w) {
                std::nth_element(w.begin(), w.begin() + kTopK - 1, w.end(), std::greater<>());
                return got[i * kTopK + kTopK - 1] / w[kTopK - 1] - 1;
              });
            }};
  }

  Kernel draw() {
    std::vector<std::int64_t> rows(n_);
    for (std::int64_t i = 0; i < n_; ++i) rows[i] = i;
    rows_ = placed(rows, exec_);
    counts_ = placed(std::vector<std::int64_t>(n_, 1), exec_);
    return {"draw(1)",
            [this] {
              kernels::draw<T>({.pairs = in_.op->pairs(Side::source, exec_),
                                .h = in_.h.data(),
                                .shift = in_.shift.data(),
                                .rows = rows_.data(),
                                .counts = counts_.data(),
                                .offsets = rows_.data(),
                                .requests = n_,
                                .seed = kSeed,
                                .out = indices_.data(),
                                .eps = in_.eps},
                               exec_);
            },
            [this] {
              const auto got = indices_.to({});
              return over_rows([&](std::int64_t i, const auto& w) {
                if (got[i] < 0) return Real<T>(1);
                const Real<T> all = sum(w), at = all * philox_uniform(kSeed, i, 0);
                const Real<T> low = std::accumulate(w.begin(), w.begin() + got[i], Real<T>(0));
                return std::max({low - at, at - low - w[got[i]], Real<T>(0)}) / all;
              });
            }};
  }

 private:
  static Real<T> sum(const std::vector<Real<T>>& w) {
    return std::accumulate(w.begin(), w.end(), Real<T>(0));
  }

  /// sqrt(mean of squares of error(i, weights of row i)).
  template <class Error>
  double over_rows(const Error& error) const {
    double sum = 0;
    for (const auto& row : in_.samples)
      sum += std::pow(static_cast<double>(error(row.i, row.weights)), 2);
    return std::sqrt(sum / static_cast<double>(in_.samples.size()));
  }

  /// Of out_[i * stride], a sum of w_ij term(i, j).
  template <class Term>
  double error_of_sum(int stride, const Term& term) const {
    const auto got = out_.to({});
    return over_rows([&](std::int64_t i, const auto& w) {
      Real<T> want = 0, size = 0;
      for (std::int64_t j = 0; j < m_; ++j) {
        const Real<T> value = w[j] * term(i, j);
        want += value;
        size += std::abs(value);
      }
      return (got[i * stride] - want) / size;
    });
  }

  const Case<T>& in_;
  Exec& exec_;
  const std::int64_t n_, m_;
  const int dim_;
  Buffer<double> softmin_, f_, g_;
  PackedPoints<T> values_;
  Buffer<T> out_, center_, mass_, first_, kernel_;
  Buffer<std::int64_t> indices_, rows_, counts_;
};

template <class T>
class Table {
 public:
  Table(Options& options, const Machine& machine)
      : options_(options), exec_(options.exec), machine_(machine) {}

  void measure(std::int64_t size, int dim) {
    softmin_rate_ = 0;
    const Points<T> points(rows_of(size, dim), size, dim);
    {
      const auto in = on(points, SquaredEuclidean{});
      Kernels<T> kernels(in, exec_);
      softmin_rate_ = row(in, kernels.softmin());
      row(in, kernels.softmin("cold", false));
      row(in, kernels.apply(1));
      if (dim > 1) row(in, kernels.apply(dim));
      row(in, kernels.pull());
      if (dim <= kLargestMoments) row(in, kernels.moments());
      row(in, kernels.top_k());
      row(in, kernels.draw());
      if (options_.wants("absorbed")) measure_absorbed(in, kernels);
    }
    if (exec_.device.is_cuda() && sizeof(T) == 4 && dim > kDirectDimension) measure_fast(points);
    for (const Cost& cost : {Cost{HalfSquaredEuclidean{}}, Cost{Euclidean{}}, Cost{Power{1.5}},
                             Cost{Cosine{}}, Cost{Dot{}}})
      measure_softmin(cost_name(cost), points, cost);
  }

  // One dimension suffices: the costs are read.
  void measure_matrix(std::int64_t size) {
    if (!options_.wants("matrix")) return;
    const double bytes_wanted = std::max(4e8, 8 * machine_.cache);
    const auto rows = static_cast<std::int64_t>(bytes_wanted / sizeof(T)) / size;
    const Points<T> points(std::clamp<std::int64_t>(rows, 1, size), size, 3);
    for (const Layout layout : {Layout::rows, Layout::columns}) {
      softmin_rate_ = 0;
      const auto in = on(points, SquaredEuclidean{}, layout);
      Kernels<T> kernels(in, exec_);
      const double rate =
          row(in, kernels.softmin(layout == Layout::rows ? "matrix(rows)" : "matrix(columns)"));
      const double bytes = static_cast<double>(in.matrix.size()) * sizeof(T);
      const double read = read_peak(in.matrix.data(), in.matrix.size() * sizeof(T), exec_);
      std::printf("%15s /read %.3f: %.3e bytes/s of %.3e bytes read plainly, %s\n", "",
                  rate * sizeof(T) / read, read, bytes, where(bytes));
    }
  }

  int printed() const { return printed_; }

 private:
  Case<T> on(const Points<T>& points, const Cost& cost, Layout layout = Layout::points,
             kernels::Precision precision = kernels::Precision::accurate) {
    return {points, cost, layout, precision, exec_};
  }

  void measure_softmin(const std::string& name, const Points<T>& points, const Cost& cost,
                       kernels::Precision precision = kernels::Precision::accurate) {
    if (!options_.wants(name)) return;
    const auto in = on(points, cost, Layout::points, precision);
    Kernels<T> kernels(in, exec_);
    row(in, kernels.softmin(name));
  }

  void measure_fast(const Points<T>& points) {
    try {
      measure_softmin("fast", points, SquaredEuclidean{}, kernels::Precision::fast);
    } catch (const NotAvailable& why) {
      std::printf("%-16s %s\n", "fast", why.what());
    }
  }

  void measure_absorbed(const Case<T>& in, Kernels<T>& kernels) {
    const double bytes = static_cast<double>(in.points.n * in.points.m) * sizeof(T);
    for (const Side side : {Side::source, Side::target}) {
      const double rate = row(in, kernels.absorbed(side)), read = kernels.read_kernel();
      std::printf("%15s /read %.3f: %.3e bytes/s of %.3e bytes read plainly, %s\n", "",
                  rate * sizeof(T) / read, read, bytes, where(bytes));
    }
  }

  const char* where(double bytes) const {
    if (machine_.cache == 0) return "of a cache that is not told";
    if (bytes > 4 * machine_.cache) return "from memory";
    return bytes < machine_.cache / 2 ? "from the cache" : "partly from the cache";
  }

  double budget() const { return options_.quick ? 0.1 : 0.4; }  // seconds a row of the table

  // What the budget allows at half the peak, whole blocks of rows. A GPU does all of them.
  std::int64_t rows_of(std::int64_t size, int dim) const {
    if (exec_.device.is_cuda()) return size;
    const double rows = budget() * (machine_.peak<T>() / 2) / (dim + 14.0) / size;
    if (rows >= static_cast<double>(size)) return size;
    return std::max<std::int64_t>(128, static_cast<std::int64_t>(rows) / 64 * 64);
  }

  // The best of many. On a GPU each is a batch of launches that outlasts the wait for its end.
  double time_of(const std::function<void()>& run) const {
    constexpr double kBatch = 0.01;
    double best = std::numeric_limits<double>::infinity(), spent = 0;
    for (int repeat = 0, batch = 1; repeat < 5 || (spent < budget() && repeat < 200); ++repeat) {
      const double start = seconds();
      for (int k = 0; k < batch; ++k) run();
      synchronize(exec_.device, exec_.stream);
      const double time = seconds() - start;
      best = std::min(best, time / batch);
      spent += time;
      if (exec_.device.is_cuda() && time < kBatch) batch *= 2, repeat = 0;
    }
    return best;
  }

  // Pairs per second. The first softmin of a shape is measured though it is not wanted.
  double row(const Case<T>& in, const Kernel& kernel) {
    const bool wanted = options_.wants(kernel.name);
    if (!wanted && kernel.name != "softmin") return 0;
    kernel.run();
    const double error = kernel.error(), time = time_of(kernel.run);
    const auto [n, m, dim] = std::tuple(in.points.n, in.points.m, in.points.dim);
    const double rate = static_cast<double>(n) * static_cast<double>(m) / time;
    if (!wanted) return rate;
    const bool read = in.matrix.size() > 0;
    std::printf("%-16s %-6s %8lld%s %4s %10.3f %10.3e", kernel.name.c_str(),
                sizeof(T) == 4 ? "float" : "double", static_cast<long long>(m), n < m ? "*" : " ",
                read ? "" : std::to_string(dim).c_str(), 1e3 * time * m / n, rate);
    const double peak = machine_.peak<T>();
    column(peak > 0, "%8.4f", rate / peak);
    column(!read && !exec_.device.is_cuda(), "%7.1f%%", 100 * rate * dim / peak);
    column(softmin_rate_ > 0, "%8.2f", rate / softmin_rate_);
    std::printf(" %9.1e\n", error);
    std::fflush(stdout);
    ++printed_;
    return rate;
  }
  static void column(bool known, const char* format, double value) {
    char text[32] = "";
    if (known) std::snprintf(text, sizeof text, format, value);
    std::printf(" %8s", text);
  }

  Options& options_;
  Exec& exec_;
  const Machine& machine_;
  double softmin_rate_ = 0;
  int printed_ = 0;
};

void run(Options& options) {
  const Machine machine = monge::bench::machine(options.exec);
  std::printf("%s\n", machine.text.c_str());
  std::printf("%-16s %-6s %8s  %4s %10s %10s %8s %8s %8s %9s\n", "kernel", "type", "n = m", "d",
              "ms", "pairs/s", "/peak", "d /peak", "/softmin", "error");
  Table<float> floats(options, machine);
  Table<double> doubles(options, machine);
  for (const std::int64_t size : options.sizes_or_default()) {
    const bool points = options.only != std::vector<std::string>{"matrix"};
    for (const int dim : points ? options.dims : std::vector<int>{}) {
      if (options.wants<float>()) floats.measure(size, dim);
      if (options.wants<double>()) doubles.measure(size, dim);
    }
    if (options.wants<float>()) floats.measure_matrix(size);
    if (options.wants<double>()) doubles.measure_matrix(size);
  }
  if (floats.printed() + doubles.printed() == 0)
    throw NotAvailable("[bench_kernels] none of these rows exists in these cases on " +
                       to_string(options.exec.device));
  std::printf("* fewer rows than columns: the time of all rows is extrapolated\n");
}
}  // namespace
}  // namespace monge::bench

int main(int count, char** words) {
  CLI::App app("Time, rate and error of each kernel", "bench_kernels");
  monge::bench::Options options;
  monge::bench::add_cases(
      app, options,
      {"softmin", "cold", "apply", "pull", "moments", "top_k", "draw", "absorbed", "fast",
       "half_sqeuclidean", "euclidean", "power", "cosine", "dot", "matrix"});
  monge::bench::add_device(app, options.exec);
  return monge::bench::parse_and_run(app, count, words, [&] { monge::bench::run(options); });
}
