// A random problem for the kernels: points (or a matrix), h and shift, owned and packed as the
// contracts of src/kernels ask.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "kernels/pairs.hpp"
#include "monge/core/buffer.hpp"
#include "monge/core/random.hpp"
#include "reference/weights.hpp"

namespace monge::testing {
using kernels::BlockList;
using kernels::Form;
using kernels::Pairs;
using kernels::Panels;

/// Uniform numbers of (-1, 1), a stream per use.
class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}
  double operator()() { return 2 * philox_uniform(seed_, stream_, next_++) - 1; }

 private:
  std::uint64_t seed_, stream_, next_ = 0;
};

template <class T>
Buffer<T> random_values(std::int64_t count, std::uint64_t seed, std::uint64_t stream) {
  Random random(seed, stream);
  Buffer<T> out(count);
  for (T& value : out) value = static_cast<T>(random());
  return out;
}

/// Row-major points [count, dim] into panels, as Panels says; `norms` in the same order.
template <class T>
Buffer<T> pack(const Buffer<T>& points, std::int64_t count, int dim) {
  Buffer<T> out(kernels::padded(count) * dim, T(0));
  for (std::int64_t i = 0; i < count; ++i)
    for (int k = 0; k < dim; ++k)
      out[(i / kernels::kPanel * dim + k) * kernels::kPanel + i % kernels::kPanel] =
          points[i * dim + k];
  return out;
}

template <class T>
Buffer<T> pack_norms(const Buffer<T>& points, std::int64_t count, int dim) {
  Buffer<T> out(kernels::padded(count), T(0));
  for (std::int64_t i = 0; i < count; ++i)
    for (int k = 0; k < dim; ++k)
      out[i] = std::fma(points[i * dim + k], points[i * dim + k], out[i]);
  return out;
}

struct CaseOptions {
  std::int64_t n = 1, m = 1;
  int dim = 1;
  double eps = 0.1;
  Form form = Form::squared;
  double scale = 1, power = 2;
  bool product = false;      // squared by norms and products
  bool transposed = false;   // matrix with row stride 1
  bool forbidden = true;     // matrix: some entries are +inf
  bool zero_weights = true;  // some h are -inf
  bool bad_shift = true;     // rows 3, 5 and 6 of every eleven have shift +inf, -inf, NaN
  bool lists = false;        // sweep a list of column blocks
  int list_width = kernels::kColumnBlock;
  std::uint64_t seed = 1;
};

/// Widths of the blocks of a list: of any verb, and of a softmin of points.
inline std::vector<int> point_list_widths() { return {kernels::kColumnBlock, 64, 32}; }
inline std::vector<int> list_widths() {
#ifdef MONGE_WITH_CUDA
  return {kernels::kColumnBlock};
#else
  return point_list_widths();
#endif
}

/// The forms of cost every verb is tested on; `pull` leaves the matrices out.
inline std::vector<CaseOptions> all_forms(bool matrices = true) {
  std::vector<CaseOptions> out{{.form = Form::squared, .scale = 0.5},
                               {.form = Form::squared, .product = true},
                               {.form = Form::distance},
                               {.form = Form::power, .scale = 0.25, .power = 1.5},
                               {.form = Form::power, .power = 3},
                               {.form = Form::dot, .scale = 2}};
  if (matrices) {
    out.push_back({.form = Form::matrix});
    out.push_back({.form = Form::matrix, .transposed = true});
  }
  return out;
}

template <class T>
class KernelCase {
 public:
  explicit KernelCase(const CaseOptions& options) : options_(options), eps(options.eps) {
    const auto [n, m, dim] = std::tuple(options.n, options.m, options.dim);
    if (options.form == Form::matrix) {
      matrix_ = random_values<T>(n * m, options.seed, 0);
      for (std::int64_t at = 0; at < n * m; ++at) {
        matrix_[at] = matrix_[at] * matrix_[at];
        if (options.forbidden && at % 5 == 2) matrix_[at] = std::numeric_limits<T>::infinity();
      }
    } else {
      x = random_values<T>(n * dim, options.seed, 1);
      y = random_values<T>(m * dim, options.seed, 2);
      pack_points();
    }
    h = random_values<T>(kernels::padded(m), options.seed, 3);
    for (std::int64_t j = 0; j < h.size(); ++j) {
      h[j] *= static_cast<T>(eps);
      if (j >= m || (options.zero_weights && m > 1 && j % 7 == 3))
        h[j] = -std::numeric_limits<T>::infinity();
    }
    if (options.lists) make_lists();
    set_shift();
  }

  /// After a change of x or y.
  void pack_points() {
    const auto [n, m, dim] = std::tuple(options_.n, options_.m, options_.dim);
    rows_ = pack(x, n, dim);
    cols_ = pack(y, m, dim);
    row_norms_ = pack_norms(x, n, dim);
    col_norms_ = pack_norms(y, m, dim);
  }

  /// Shifts near the rows' softmin, as callers pass them: weights of a row sum to about 1.
  void set_shift() {
    shift = Buffer<T>(options_.n, T(0));
    Random random(options_.seed, 4);
    const Pairs<T> p = pairs();
    for (std::int64_t i = 0; i < options_.n; ++i) {
      const double exact = static_cast<double>(reference::softmin_row(p, h.data(), eps, i));
      shift[i] = static_cast<T>(std::isfinite(exact) ? exact + eps * random() : 0.0);
      if (!options_.bad_shift) continue;
      if (i % 11 == 3) shift[i] = std::numeric_limits<T>::infinity();
      if (i % 11 == 5) shift[i] = -std::numeric_limits<T>::infinity();
      if (i % 11 == 6) shift[i] = std::numeric_limits<T>::quiet_NaN();
    }
  }

  Pairs<T> pairs() const {
    Pairs<T> p;
    p.form = options_.form;
    p.scale = static_cast<T>(options_.scale);
    p.power = static_cast<T>(options_.power);
    p.n = options_.n;
    p.m = options_.m;
    p.list = list_ ? &*list_ : nullptr;
    if (options_.form == Form::matrix) {
      p.matrix = matrix_.data();
      p.row_stride = options_.transposed ? 1 : options_.m;
      p.col_stride = options_.transposed ? options_.n : 1;
    } else {
      const bool norms = options_.product;
      p.rows = {rows_.data(), norms ? row_norms_.data() : nullptr, options_.n, options_.dim};
      p.cols = {cols_.data(), norms ? col_norms_.data() : nullptr, options_.m, options_.dim};
    }
    return p;
  }

  const CaseOptions& options() const { return options_; }
  std::string name() const {
    static constexpr const char* kForms[] = {"squared", "distance", "power", "dot", "matrix"};
    return std::string(kForms[static_cast<int>(options_.form)]) +
           (options_.product ? " product" : "") + (options_.transposed ? " transposed" : "") +
           (options_.lists ? " lists of " + std::to_string(options_.list_width) : "") + ", n " +
           std::to_string(options_.n) + ", m " + std::to_string(options_.m) + ", dim " +
           std::to_string(options_.dim) + ", eps " + std::to_string(eps);
  }

 private:
  CaseOptions options_;
  Buffer<T> matrix_, rows_, cols_, row_norms_, col_norms_;
  std::vector<std::int64_t> offsets_;
  std::vector<std::int32_t> blocks_;
  std::optional<BlockList> list_;

 public:
  double eps;
  Buffer<T> x, y, h, shift;  // x [n, dim], y [m, dim] row-major

 private:
  // Every third column block is left out, a different one for each row block; the last row block
  // sweeps nothing when there are several.
  void make_lists() {
    const std::int64_t row_blocks = (options_.n + kernels::kRowBlock - 1) / kernels::kRowBlock;
    const std::int64_t col_blocks = (options_.m + options_.list_width - 1) / options_.list_width;
    offsets_ = {0};
    for (std::int64_t r = 0; r < row_blocks; ++r) {
      for (std::int64_t c = 0; c < col_blocks; ++c)
        if ((r + c) % 3 != 1 && (r == 0 || r + 1 < row_blocks))
          blocks_.push_back(static_cast<std::int32_t>(c));
      offsets_.push_back(static_cast<std::int64_t>(blocks_.size()));
    }
    list_ = BlockList{offsets_.data(), blocks_.data(), options_.list_width};
  }
};
}  // namespace monge::testing
