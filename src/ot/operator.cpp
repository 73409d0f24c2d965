#include "ot/operator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "kernels/absorbed.hpp"
#include "kernels/entries.hpp"
#include "kernels/inspect.hpp"
#include "monge/core/error.hpp"
#include "ot/arrays.hpp"
#include "ot/inspection.hpp"
#include "ot/ordered.hpp"

namespace monge {
namespace {
// Tensor cores take the exponents of up to 3 dimensions whole, as one product with half-precision
// parts: faster than direct differences on a GPU. Their rounding grows with the exponents, whose
// range in units of log 2 this bounds: at about 900 the error of f / eps was 2e-6 (rms), of direct
// differences 3e-7.
constexpr std::int64_t kExponentDimension = 3;
constexpr double kExponentRange = 1024;

// Of the range / eps: what float's scores hide in the marginals of both sides (measured 2.2e-9 to
// 5.3e-9 of direct differences, 1.3e-8 to 1.7e-8 of products, d from 1 to 64, eps from 1e-2 to 1e-6
// of the range), and where double's potentials and scores keep errors from falling.
constexpr double kFloatFloor = 4e-9, kFloatProductFloor = 1.6e-8, kDoubleFloor = 7.5e-18;
// Marginal errors, in double, of pairs whose measured error was 0: at most about 6e-7 where float's
// exponentials and their sums are all of float (up to 2.9e-7 a side, of one sign), 8e-8 where the
// exponentials alone are and as exact as float allows.
constexpr double kFloatResolution = 6e-7, kMixedResolution = 8e-8;

// Of fast: rounding two coordinates to half precision, 2^-11 each at worst, moves 2 x.y by at most
// 2^-9 |x| |y|, of which random roundings leave less.
constexpr double kFastError = 1e-3;

/// What keeps a problem from precision fast, but for the kind of its GPU; empty: nothing.
template <class T>
std::string obstacle(const Problem<T>& problem) {
  if (!problem.device().is_cuda())
    return fmt::format("it uses the tensor cores of a GPU, and the problem is on {}",
                       to_string(problem.device()));
  if (sizeof(T) != 4) return "it exists in float32, and the problem is in float64";
  if (std::holds_alternative<Lattice<T>>(problem.geometry()))
    return "a lattice is swept along its axes, not by products of points";
  const auto* cloud = std::get_if<PointCloud<T>>(&problem.geometry());
  if (!cloud) return "a cost matrix is read, not computed from products of points";
  const auto form = cost_form(cloud->cost).form;
  if (form != kernels::Form::squared && form != kernels::Form::dot)
    return fmt::format("the cost {} is no product of points", cost_name(cloud->cost));
  if (cloud->x.cols <= kDirectDimension)
    return fmt::format("points of dimension up to {} use direct differences, and these have {}",
                       kDirectDimension, cloud->x.cols);
  return {};
}

/// Potentials as a mask bounds them: in T, none below what it was.
template <class T>
class RoundedUp {
 public:
  RoundedUp(const double* from, std::int64_t n, Exec& exec) {
    if constexpr (std::is_same_v<T, double>) {
      data_ = from;
    } else {
      own_ = Buffer<T>(n, exec.device);
      kernels::each(kernels::RoundUpArgs<T>{from, own_.data()}, n, exec);
      data_ = own_.data();
    }
  }
  const T* data() const { return data_; }

 private:
  Buffer<T> own_;
  const T* data_;
};

void refuse_fast(const std::string& why) {
  throw NotAvailable("[sinkhorn] precision fast is not available here: " + why +
                     "; use precision accurate");
}
}  // namespace

template <class T>
Operator<T>::Operator(const Problem<T>& problem, kernels::Precision precision) {
  Exec exec = exec_of(problem);
  *this = Operator(problem, precision, exec);
  synchronize(exec.device, exec.stream);
}

template <class T>
Operator<T>::Operator(const Problem<T>& problem, kernels::Precision precision, Exec& exec)
    : n_(problem.n()), m_(problem.m()), precision_(precision) {
  if (precision == kernels::Precision::fast)
    if (const auto why = obstacle(problem); !why.empty()) refuse_fast(why);
  if (const auto* cloud = std::get_if<PointCloud<T>>(&problem.geometry())) {
    pack_cloud(*cloud, problem.inspection(), exec);
  } else if (const auto* lattice = std::get_if<Lattice<T>>(&problem.geometry())) {
    prepare_lattice(*lattice, problem.inspection(), exec);
  } else {
    form_.form = kernels::Form::matrix;
    matrix_ = std::get<CostMatrix<T>>(problem.geometry()).values;
    // The stride along an axis of length 1 is never used: let it be the one that is 1.
    if (n_ == 1 && matrix_.col_stride != 1) matrix_.row_stride = 1;
    if (m_ == 1 && matrix_.row_stride != 1) matrix_.col_stride = 1;
    // The cheapest partner of each row and column bounds what a plan needs: a sentinel such as 1e32
    // that no row and no column depends on then starts no annealing and predicts no floor.
    const kernels::MatrixReport& report = problem.inspection().costs;
    // Soft sides, everything forbidden: the plan is 0, so are the bounds.
    if (report.least <= report.most)
      std::tie(min_cost_, max_cost_, needed_cost_) =
          std::tuple(report.least, report.most, report.needed);
  }
}

template <class T>
void Operator<T>::pack_cloud(const PointCloud<T>& cloud, const Inspection& seen, Exec& exec) {
  form_ = cost_form(cloud.cost);
  dim_ = static_cast<int>(cloud.x.cols);
  box_a_ = Box(seen.x.low, seen.x.high);
  box_b_ = Box(seen.y.low, seen.y.high);
  extent_ = Box(seen.x.all_low, seen.x.all_high);
  extent_.add({seen.y.all_low, seen.y.all_high});
  how_ = {.unit_length = form_.unit_length};
  if (form_.form == kernels::Form::squared) {
    exponents_ = exec.device.is_cuda() && sizeof(T) == 4 && dim_ <= kExponentDimension &&
                 !kernels::are_few(n_, m_, dim_);
    how_.norms = dim_ > kDirectDimension || exponents_;
  }
  how_.split = dim_ > kDirectDimension && (how_.norms || form_.form == kernels::Form::dot);
  if ((dim_ > kDirectDimension && form_.form != kernels::Form::dot) || exponents_) {
    const auto center = common_center(seen.x, seen.y);
    for (int k = 0; k < dim_; ++k)
      radius2_ += std::pow(std::max(extent_.high[k] - center[k], center[k] - extent_.low[k]), 2);
    if (form_.unit_length) radius2_ = 4;
    center_ = std::make_shared<const Buffer<double>>(placed(center, exec));
    how_.center = center_->data();
  }
  const auto packed = [&](MatrixView<const T> points) {
    return std::make_shared<const PackedPoints<T>>(pack(points, how_, exec));
  };
  const auto is_x = [&x = cloud.x](const MatrixView<const T>& y) {
    return x.data == y.data && x.rows == y.rows && x.row_stride == y.row_stride &&
           x.col_stride == y.col_stride;
  };
  source_ = packed(cloud.x);
  target_ = is_x(cloud.y) ? source_ : packed(cloud.y);
  given_source_ = cloud.x;
  given_target_ = cloud.y;
  bound_costs();
  if (precision_ == kernels::Precision::fast) measure_products(exec);
}

template <class T>
void Operator<T>::prepare_lattice(const Lattice<T>& lattice, const Inspection& seen, Exec& exec) {
  if (!is_separable(lattice)) {
    made_ = std::make_shared<const LatticePoints<T>>(lattice, exec);
    return pack_cloud(made_->cloud, seen, exec);
  }
  form_ = cost_form(lattice.cost);
  dim_ = lattice.source.dim;
  box_a_ = Box(seen.x.low, seen.x.high);
  box_b_ = Box(seen.y.low, seen.y.high);
  lattice_ =
      std::shared_ptr<Gridded>(new Gridded{lattice, seen, LatticeSweep<T>(lattice, exec), {}, {}});
  const auto [least, most] = cost_range(form_, box_a_, box_b_, periods(lattice));
  min_cost_ = least;
  max_cost_ = needed_cost_ = most;
}

template <class T>
const Operator<T>& Operator<T>::cloud() const {
  const Lattice<T>& lattice = lattice_->lattice;
  std::call_once(lattice_->asked, [&] {
    std::unique_ptr<Operator> made(new Operator);
    made->n_ = n_;
    made->m_ = m_;
    Exec exec;
    exec.device = lattice.device;
    made->pack_cloud(LatticePoints<T>(lattice, exec).cloud, lattice_->seen, exec);
    synchronize(exec.device, exec.stream);
    lattice_->cloud = std::move(made);
  });
  return *lattice_->cloud;
}

template <class T>
void Operator<T>::measure_products(Exec& exec) {
  if (!source_->split.size() || !target_->split.size())
    refuse_fast("it needs a GPU of compute capability 9.0");
  if (form_.form == kernels::Form::dot) {  // raw points: their box alone is known
    for (int k = 0; k < dim_; ++k)
      largest_product_ +=
          std::pow(std::max(std::abs(extent_.low[k]), std::abs(extent_.high[k])), 2);
    largest_product_ /= 2;
    return;
  }
  const auto norms = [&](const PackedPoints<T>& side) -> kernels::InspectPointsArgs<T> {
    return {.points = {side.norms, side.count, 1, 1, 1, exec.device}, .weight = {}};
  };
  const kernels::InspectPointsArgs<T> sets[] = {norms(*source_), norms(*target_)};
  kernels::PointsReport reports[2];
  kernels::inspect<T>(sets, reports, exec);
  largest_product_ = std::max(reports[0].all_high[0], reports[1].all_high[0]);
}

template <class T>
Reach Operator<T>::reach(double eps, bool absorbed) const {
  if (sizeof(T) == 4) return reach_in_float(eps, absorbed);
  const bool mixed = precision_ == kernels::Precision::mixed;
  return {kDoubleFloor * std::max(0.0, range()) / eps, mixed ? kMixedResolution : 0};
}
template <class T>
Reach Operator<T>::reach_in_float(double eps, bool absorbed) const {
  using kernels::Form;
  const bool product = has_points() && dim_ > kDirectDimension && form_.form != Form::distance &&
                       form_.form != Form::power && !lattice_;
  const double share = product ? kFloatProductFloor : kFloatFloor;
  const double scores = absorbed ? 0 : share * std::max(0.0, range()) / eps;
  return {scores, std::max(scores, kFloatResolution)};
}

template <class T>
double Operator<T>::weight_error(double eps) const {
  if (precision_ != kernels::Precision::fast) return 0;
  return kFastError * form_.scale * largest_product_ / eps;
}

template <class T>
void Operator<T>::bound_costs() {
  const auto [least, most] = cost_range(form_, box_a_, box_b_);
  min_cost_ = least;
  max_cost_ = needed_cost_ = most;
}

template <class T>
bool Operator<T>::is_periodic() const {
  if (!lattice_) return false;
  const auto& periodic = lattice_->lattice.periodic;
  return std::any_of(periodic.begin(), periodic.begin() + dim_, [](bool one) { return one; });
}

template <class T>
void Operator<T>::images_at(Side side, MatrixView<const T> z, const T* h, T* mean, double* s,
                            double eps, Exec& exec) const {
  Box all = box_a_;
  all.add(box_b_);
  checked(z, all, exec);
  lattice_images(lattice_->lattice, side, z, h, mean, s, eps, exec);
}

template <class T>
Box Operator<T>::checked(MatrixView<const T> z, Box all, Exec& exec) const {
  if (z.cols != dim_ || z.rows < 1)
    throw InvalidArgument(fmt::format("[operator] z has shape ({}, {}), wanted (k, {}) with k >= 1",
                                      z.rows, z.cols, dim_),
                          "z");
  check_device("operator", "z", z.device, exec);
  const auto report =
      kernels::inspect<T>({.points = z, .weight = {}, .unit_length = form_.unit_length}, exec);
  if (report.bad >= 0)
    throw InvalidArgument(
        fmt::format("[operator] z[{}, {}] is {}, wanted finite coordinates", report.bad / z.cols,
                    report.bad % z.cols, entry(z, report.bad, exec)),
        "z", report.bad / z.cols);
  if (report.undirected >= 0)
    throw InvalidArgument(
        fmt::format("[operator] z[{}] is a zero vector, or too short or long to have a "
                    "direction, which the cosine cost needs",
                    report.undirected),
        "z", report.undirected);
  Box box(report.low, report.high);
  all.add(box);
  check_overflow<T>(form_, all, "operator", "z");
  return box;
}

template <class T>
Operator<T> Operator<T>::with_points(Side side, MatrixView<const T> z, Exec& exec) const {
  if (!has_points())
    throw NotAvailable("[operator] a cost matrix has no coordinates: new points have no costs");
  if (is_periodic())
    throw NotAvailable("[operator] points beside a lattice with a periodic axis are no cloud");
  if (lattice_) return cloud().with_points(side, z, exec);
  const Box box = checked(z, extent_, exec);
  Operator moved(*this);
  moved.extent_.add(box);
  (side == Side::source ? moved.box_a_ : moved.box_b_) = box;
  (side == Side::source ? moved.n_ : moved.m_) = z.rows;
  (side == Side::source ? moved.source_ : moved.target_) =
      std::make_shared<const PackedPoints<T>>(pack(z, how_, exec));
  for (int k = 0; k < dim_; ++k)
    if (!form_.unit_length && (box.low[k] < extent_.low[k] || box.high[k] > extent_.high[k]))
      moved.radius2_ = std::numeric_limits<double>::infinity();
  moved.bound_costs();
  moved.kernel_ = nullptr;
  moved.mask_ = nullptr;
  (side == Side::source ? moved.given_source_ : moved.given_target_) = z;
  (side == Side::source ? moved.source_order_ : moved.target_order_) = nullptr;
  return moved;
}

template <class T>
void Operator<T>::plant(std::shared_ptr<const Forest<T>> forest, Exec& exec) {
  forest_ = std::move(forest);
  const auto packed = [&](const Tree<T>& tree) {
    const Ordered<T> ordered(tree.order(), tree.points(), exec);
    return std::make_shared<const PackedPoints<T>>(pack(ordered.view(), how_, exec));
  };
  source_ = packed(forest_->source);
  target_ = packed(forest_->target);
  source_order_ = forest_->source.order();
  target_order_ = forest_->target.order();
  kernel_ = nullptr;
}

template <class T>
typename Operator<T>::Losses Operator<T>::truncate(const double* of_source, const double* of_target,
                                                   double eps, double budget, Exec& exec) {
  // A new mask loses a part of the budget, so that potentials may move before it has to go: its
  // size grows with the logarithm of that part.
  constexpr double kPart = 1.0 / 32;
  const RoundedUp<T> f(of_source, n_, exec), g(of_target, m_, exec);
  const double before = mask_ && mask_->eps() == eps ? mask_->lost(f.data(), g.data(), exec)
                                                     : std::numeric_limits<double>::infinity();
  if (before <= budget) return {before, before};
  mask_ = std::make_shared<const Mask<T>>(*forest_, f.data(), g.data(), eps, kPart * budget, exec);
  return {before, mask_->lost()};
}

template <class T>
kernels::Pairs<T> Operator<T>::pairs(Side rows, Exec& exec) const {
  kernels::Pairs<T> pairs = swept(rows);
  if (!has_points()) return pairs;
  const bool source = rows == Side::source;
  pairs.rows.data = (source ? source_ : target_)->panels(exec).data;
  pairs.cols.data = (source ? target_ : source_)->panels(exec).data;
  return pairs;
}

template <class T>
kernels::Pairs<T> Operator<T>::swept(Side rows) const {
  const bool source = rows == Side::source;
  kernels::Pairs<T> pairs;
  pairs.form = form_.form;
  pairs.scale = static_cast<T>(form_.scale);
  pairs.power = static_cast<T>(form_.power);
  pairs.n = size(rows);
  pairs.m = size(other(rows));
  if (has_points()) {
    pairs.rows = (source ? source_ : target_)->swept();
    pairs.cols = (source ? target_ : source_)->swept();
    if (exponents_) pairs.rows.norms = pairs.cols.norms = nullptr;  // of softmin alone
    if (mask_) pairs.list = &mask_->wide_list(rows);
  } else {
    const auto matrix = source ? matrix_ : matrix_.transposed();
    pairs.matrix = matrix.data;
    pairs.row_stride = matrix.row_stride;
    pairs.col_stride = matrix.col_stride;
  }
  return pairs;
}

template <class T>
std::optional<typename Operator<T>::Choice> Operator<T>::chosen(double passes, std::int64_t budget,
                                                                bool may_round, Exec& exec) const {
  if (lattice_ || planted()) return {};
  const auto fits = [&](std::size_t bytes) {
    return n_ * kernels::padded(m_) <= budget / static_cast<std::int64_t>(bytes);
  };
  const bool rough = may_round && sizeof(T) == 8 && !fits(sizeof(T));
  const std::size_t bytes = rough ? sizeof(float) : sizeof(T);
  if (!fits(bytes)) return {};
  const auto costs =
      kernels::absorbed_costs(swept(Side::source), precision_, static_cast<int>(bytes), exec);
  const bool narrow = may_round && costs.narrow < costs.absorb;
  // Infinitely many: for what a kernel's sums resolve, also where they take longer.
  if (std::isfinite(passes) &&
      passes * (costs.streamed - costs.absorbed) <= (narrow ? costs.narrow : costs.absorb))
    return {};
  return Choice{rough, narrow};
}

template <class T>
bool Operator<T>::absorb(Side rows, const double* f, const double* g, double eps, double passes,
                         std::int64_t budget, Exec& exec, bool may_round) {
  const auto before = std::exchange(kernel_, nullptr);
  const auto choice = chosen(passes, budget, may_round, exec);
  if (!choice) return false;
  const auto [rough, narrow] = *choice;
  const std::int64_t values = kernel_values(Side::source);
  const auto keep = [&, narrow = narrow](const double* from, std::int64_t size,
                                         Buffer<double>& to) {
    kernels::each(kernels::FiniteArgs{from, size, min_cost_, to.data()}, to.size(), exec);
    if (narrow)  // its own type: CPU memory
      std::transform(to.begin(), to.end(), to.begin(), [](double v) { return static_cast<T>(v); });
  };
  const bool source = rows == Side::source;
  auto kernel =
      before.use_count() == 1 && (before->rough.size() > 0) == rough
          ? before  // the same memory again
          : std::make_shared<Kernel>(Kernel{0, false, padded_buffer<double>(n_, exec),
                                            padded_buffer<double>(m_, exec),
                                            Buffer<T>(rough ? 0 : values, exec.device),
                                            Buffer<float>(rough ? values : 0, exec.device),
                                            Buffer<std::int64_t>(1, exec.device)});
  kernel->eps = eps;
  kernel->narrow = narrow;
  kernels::each(kernels::FillArgs<std::int64_t>{0, kernel->redone.data()}, 1, exec);
  keep(f, size(rows), source ? kernel->f : kernel->g);
  keep(g, size(other(rows)), source ? kernel->g : kernel->f);
  const double *const of_source = kernel->f.data(), *const of_target = kernel->g.data();
  if (rough ? form(Side::source, of_source, of_target, eps, narrow, kernel->rough.data(), exec)
            : form(Side::source, of_source, of_target, eps, narrow, kernel->entries.data(), exec))
    kernel_ = std::move(kernel);
  return true;
}

template <class T>
template <class K>
bool Operator<T>::form(Side rows, const double* f, const double* g, double eps, bool narrow,
                       K* entries, Exec& exec) const {
  const auto p = pairs(rows, exec);
  if constexpr (std::is_same_v<T, float>) {
    // As float holds them already, points are off.
    if (!narrow && (how_.center || how_.unit_length)) {
      const bool source = rows == Side::source;
      const auto x = pack_wide(source ? given_source_ : given_target_, how_, exec),
                 y = pack_wide(source ? given_target_ : given_source_, how_, exec);
      kernels::Pairs<double> wide;
      wide.form = p.form;
      wide.scale = form_.scale;
      wide.power = form_.power;
      wide.rows = x.swept();
      wide.cols = y.swept();
      wide.n = p.n;
      wide.m = p.m;
      return kernels::absorb(kernels::AbsorbArgs<double, K>{wide, f, g, eps, entries}, exec);
    }
  }
  return kernels::absorb(kernels::AbsorbArgs<T, K>{p, f, g, eps, entries, narrow}, exec);
}

template <class T>
Buffer<T> Operator<T>::scaled_kernel(Side rows, const Buffer<double>& f, const Buffer<double>& g,
                                     double eps, int products, std::int64_t budget,
                                     Exec& exec) const {
  if (!may_absorb(budget, rows)) return {};
  // Of softmin's time, what each of the two passes of a product takes that streams.
  constexpr double kApply = 1.25;
  const auto costs = kernels::absorbed_costs(swept(rows), precision_, sizeof(T), exec);
  if (products * (2 * kApply * costs.streamed - costs.normal) <= costs.absorb) return {};
  Buffer<T> entries(kernel_values(rows), exec.device);
  if (!form(rows, f.data(), g.data(), eps, false, entries.data(), exec)) return {};
  return entries;
}

template <class T>
bool Operator<T>::kernel_serves(Exec& exec) const {
  if (!kernel_ || !exec.device.is_cuda()) return kernel_ != nullptr;
  constexpr std::int64_t kFew = 16;
  std::int64_t redone = 0;
  copy(&redone, {}, kernel_->redone.data(), exec.device, sizeof redone, exec.stream);
  return redone <= std::min(n_, m_) / kFew;
}

template <class T>
bool Operator<T>::softmin(Side rows, const double* h, const double* shift, double* out, double eps,
                          Exec& exec, const kernels::HalfStepArgs<T>* step) const {
  if (step && (lattice_ || kernel_ || planted())) {
    const bool absorbed = softmin(rows, h, shift, out, eps, exec);
    kernels::half_step(*step, exec);
    return absorbed;
  }
  if (lattice_) return lattice_->sweep.softmin(rows, h, out, eps, precision_, exec), false;
  auto p = kernel_ ? pairs(rows, exec) : swept(rows);
  const bool source = rows == Side::source;
  if (kernel_ && kernel_->eps == eps) {
    const auto read = [&](const auto* entries) {
      using K = std::remove_cvref_t<decltype(*entries)>;
      return kernels::softmin(
          kernels::SoftminArgs<T>{.pairs = p, .h = h, .shift = nullptr, .out = out, .eps = eps},
          kernels::Absorbed<K>{.kernel = entries,
                               .stride = kernels::padded(m_),
                               .transposed = !source,
                               .f = (source ? kernel_->f : kernel_->g).data(),
                               .g = (source ? kernel_->g : kernel_->f).data(),
                               .redone = kernel_->redone.data()},
          exec);
    };
    if (is_rough() ? read(kernel_->rough.data()) : read(kernel_->entries.data())) return true;
  }
  if (mask_)
    p.list = &mask_->list(rows);
  else if (exponents_ && radius2_ * form_.scale <= kExponentRange * std::log(2.0) * eps) {
    p.rows.norms = (source ? source_ : target_)->norms;
    p.cols.norms = (source ? target_ : source_)->norms;
  }
  const Ordered<double> columns(order(other(rows)), h, kernels::padded(p.m), exec),
      expected(order(rows), shift, p.n, exec);
  Unordered<double> result(order(rows), out, p.n, 1, exec);
  kernels::softmin<T>({.pairs = p,
                       .h = columns.data(),
                       .shift = expected.data(),
                       .out = result.data(),
                       .eps = eps,
                       .precision = precision_},
                      exec, step);
  result.put(exec);
  return false;
}

template <class T>
void Operator<T>::apply(Side rows, const T* h, const T* shift, kernels::Weighting weighting,
                        MatrixView<const T> v, T* out, double eps, Exec& exec) const {
  if (lattice_) return lattice_->sweep.apply(rows, h, shift, weighting, v, out, eps, exec);
  const int k = v.data ? static_cast<int>(v.cols) : 1;
  const auto p = swept(rows);
  const Ordered<T> columns(order(other(rows)), h, kernels::padded(p.m), exec);
  const Ordered<T> shifts(order(rows), shift, p.n, exec), values(order(other(rows)), v, exec);
  Unordered<T> result(order(rows), out, p.n, k, exec);
  kernels::ApplyArgs<T> args{.pairs = p,
                             .h = columns.data(),
                             .shift = shifts.data(),
                             .weighting = weighting,
                             .v = values.data(),
                             .v_row = values.view().row_stride,
                             .v_col = values.view().col_stride,
                             .k = k,
                             .out = result.data(),
                             .eps = eps};
  if (!kernels::reads_split(args)) args.pairs = pairs(rows, exec);
  kernels::apply<T>(args, exec);
  result.put(exec);
}

template <class T>
void Operator<T>::pull(Side rows, const T* h, const T* shift, T* out, double eps, Exec& exec,
                       T* mass, T* cost) const {
  if (!has_points())
    throw NotAvailable(
        "[operator] a cost matrix has no coordinates to differentiate in; the "
        "derivative in the costs is the plan");
  if (lattice_) return lattice_->sweep.pull(rows, h, shift, out, eps, exec, mass, cost);
  const auto p = swept(rows);
  const Ordered<T> columns(order(other(rows)), h, kernels::padded(p.m), exec),
      shifts(order(rows), shift, p.n, exec);
  Unordered<T> gradient(order(rows), out, p.n, dim_, exec), masses(order(rows), mass, p.n, 1, exec),
      costs(order(rows), cost, p.n, 1, exec);
  kernels::pull<T>({.pairs = p,
                    .h = columns.data(),
                    .shift = shifts.data(),
                    .out = gradient.data(),
                    .eps = eps,
                    .mass = masses.data(),
                    .cost = costs.data()},
                   exec);
  gradient.put(exec);
  masses.put(exec);
  costs.put(exec);
  if (auto chained = chain(rows)) {
    chained->gradient = out;
    kernels::each(*chained, p.n, exec);
  }
}

template <class T>
std::optional<kernels::UnitLengthChainArgs<T>> Operator<T>::chain(Side side) const {
  if (!form_.unit_length) return {};
  const PackedPoints<T>& points = side == Side::source ? *source_ : *target_;
  return kernels::UnitLengthChainArgs<T>{points.swept(), points.inverse_length, how_.center,
                                         nullptr};
}

template <class T>
void Operator<T>::tangent(Side rows, kernels::TangentArgs<T> args, Exec& exec) const {
  if (lattice_) return lattice_->sweep.tangent(rows, args, exec);
  args.pairs = pairs(rows, exec);
  const std::int64_t n = args.pairs.n, m = args.pairs.m, count = args.count;
  const auto [own, opposite] = std::pair(order(rows), order(other(rows)));
  const auto arranged = [&](const std::int32_t* order, const T*& from, std::int64_t size,
                            std::int64_t length) {
    Ordered<T> out(order, MatrixView<const T>(from, size, length, length, 1, exec.device), exec);
    from = out.data();
    return out;
  };
  const std::int64_t directed = count * dim_, p_width = args.width * (args.p_each ? count : 1),
                     q_width = args.width * (args.q_each ? count : 1);
  const Ordered<T> held[] = {arranged(opposite, args.h, kernels::padded(m), 1),
                             arranged(own, args.shift, n, 1),
                             arranged(own, args.row, n, count),
                             arranged(opposite, args.col, m, count),
                             arranged(own, args.a, n, directed),
                             arranged(opposite, args.b, m, directed),
                             arranged(own, args.p, n, p_width),
                             arranged(opposite, args.q, m, q_width),
                             arranged(own, args.center, n, dim_)};
  Unordered<T> sum(own, args.sum, n, count, exec), costs(own, args.costs, n, count, exec),
      gradient(own, args.gradient, n, directed, exec),
      mean(own, args.mean, n, args.width * count, exec);
  args.sum = sum.data();
  args.costs = costs.data();
  args.gradient = gradient.data();
  args.mean = mean.data();
  kernels::tangent(args, exec);
  for (Unordered<T>* out : {&sum, &costs, &gradient, &mean}) out->put(exec);
}

template <class T>
void Operator<T>::moments(Side rows, const T* h, const T* shift, MatrixView<const T> values,
                          const T* center, T* mass, T* first, T* second, double eps,
                          Exec& exec) const {
  if (lattice_)
    return lattice_moments(lattice_->lattice, rows, h, shift, values, center, mass, first, second,
                           eps, exec);
  const auto p = pairs(rows, exec);
  const std::int64_t k = values.cols;
  const Ordered<T> columns(order(other(rows)), h, kernels::padded(p.m), exec),
      shifts(order(rows), shift, p.n, exec), ordered(order(other(rows)), values, exec),
      centers(order(rows), {center, p.n, k, k, 1, exec.device}, exec);
  Unordered<T> masses(order(rows), mass, p.n, 1, exec), firsts(order(rows), first, p.n, k, exec),
      seconds(order(rows), second, p.n, k * k, exec);
  const auto packed = pack(ordered.view(), {}, exec);
  kernels::moments<T>({.pairs = p,
                       .h = columns.data(),
                       .shift = shifts.data(),
                       .values = packed.swept(),
                       .center = centers.data(),
                       .mass = masses.data(),
                       .first = firsts.data(),
                       .second = seconds.data(),
                       .eps = eps},
                      exec);
  masses.put(exec);
  firsts.put(exec);
  seconds.put(exec);
}

template <class T>
void Operator<T>::draw(Side rows, const T* h, const T* shift,
                       const std::vector<std::int64_t>& requested_rows,
                       const std::vector<std::int64_t>& counts, std::uint64_t seed,
                       std::int64_t* out, double eps, Exec& exec) const {
  if (lattice_)
    return lattice_->sweep.draw(rows, h, shift, requested_rows, counts, seed, out, eps, exec);
  // A request: its row where it is swept, how many draws, and where they go. Rows that share tiles
  // stand together.
  struct Request {
    std::int64_t row, count, offset;
  };
  std::vector<Request> requests(counts.size());
  const auto rank = order(rows) ? forest_->of(rows).rank(exec) : Buffer<std::int32_t>();
  std::int64_t total = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) {
    const std::int64_t i = requested_rows[r];
    requests[r] = {order(rows) ? rank[i] : i, counts[r], total};
    total += counts[r];
  }
  if (order(rows))
    std::sort(requests.begin(), requests.end(),
              [](const Request& a, const Request& b) { return a.row < b.row; });
  const auto column = [&](std::int64_t Request::*member) {
    std::vector<std::int64_t> values(requests.size());
    for (std::size_t r = 0; r < values.size(); ++r) values[r] = requests[r].*member;
    return placed(values, exec);
  };
  const auto p = pairs(rows, exec);
  const Ordered<T> columns(order(other(rows)), h, kernels::padded(p.m), exec),
      shifts(order(rows), shift, p.n, exec);
  const auto at_rows = column(&Request::row), at_counts = column(&Request::count),
             at_offsets = column(&Request::offset);
  kernels::draw<T>({.pairs = p,
                    .h = columns.data(),
                    .shift = shifts.data(),
                    .rows = at_rows.data(),
                    .counts = at_counts.data(),
                    .offsets = at_offsets.data(),
                    .requests = static_cast<std::int64_t>(requests.size()),
                    .seed = seed,
                    .out = out,
                    .eps = eps},
                   exec);
  if (const auto* const at = order(other(rows)))
    kernels::each(kernels::LookUpArgs{at, out}, total, exec);
}

template <class T>
void Operator<T>::top_k(Side rows, const T* h, const T* shift, int k, std::int64_t* columns,
                        T* weights, double* softmin, double eps, Exec& exec) const {
  if (lattice_)
    return lattice_->sweep.top_k(rows, h, shift, k, columns, weights, softmin, eps, exec);
  const auto p = pairs(rows, exec);
  const Ordered<T> biases(order(other(rows)), h, kernels::padded(p.m), exec),
      shifts(order(rows), shift, p.n, exec);
  Unordered<std::int64_t> places(order(rows), columns, p.n, k, exec);
  Unordered<T> found(order(rows), weights, p.n, k, exec);
  Unordered<double> sums(order(rows), softmin, p.n, 1, exec);
  kernels::top_k<T>({.pairs = p,
                     .h = biases.data(),
                     .shift = shifts.data(),
                     .k = k,
                     .columns = places.data(),
                     .weights = found.data(),
                     .softmin = sums.data(),
                     .eps = eps},
                    exec);
  places.put(exec);
  found.put(exec);
  sums.put(exec);
  if (const auto* const at = order(other(rows)))
    kernels::each(kernels::LookUpArgs{at, columns}, p.n * k, exec);
}

template <class T>
void Operator<T>::select(Side rows, const T* h, const T* shift, const T* threshold,
                         std::int64_t* counts, const std::int64_t* offsets, std::int64_t* columns,
                         T* weights, double eps, Exec& exec) const {
  if (lattice_)
    return lattice_->sweep.select(rows, h, shift, threshold, counts, offsets, columns, weights, eps,
                                  exec);
  const auto p = pairs(rows, exec);
  const Ordered<T> biases(order(other(rows)), h, kernels::padded(p.m), exec),
      shifts(order(rows), shift, p.n, exec), least(order(rows), threshold, p.n, exec);
  const Ordered<std::int64_t> starts(order(rows), offsets, p.n, exec);
  Unordered<std::int64_t> numbers(order(rows), counts, p.n, 1, exec);
  if (columns) numbers.take(p.n, exec);
  kernels::select<T>({.pairs = p,
                      .h = biases.data(),
                      .shift = shifts.data(),
                      .threshold = least.data(),
                      .counts = numbers.data(),
                      .offsets = starts.data(),
                      .columns = columns,
                      .weights = weights,
                      .eps = eps},
                     exec);
  if (!columns) return numbers.put(exec);
  if (const auto* const at = order(other(rows)))
    kernels::each(kernels::LookUpRowsArgs{at, starts.data(), numbers.data(), columns}, p.n, exec);
}

template <class T>
void Operator<T>::hard(Side rows, const T* h, T* out, std::int64_t* columns, Exec& exec) const {
  if (lattice_) return lattice_->sweep.hard(rows, h, out, columns, exec);
  auto p = pairs(rows, exec);
  p.list = nullptr;  // a mask bounds sums, not the least
  const Ordered<T> biases(order(other(rows)), h, kernels::padded(p.m), exec);
  Unordered<T> least(order(rows), out, p.n, 1, exec);
  Unordered<std::int64_t> places(order(rows), columns, p.n, 1, exec);
  kernels::hard<T>({.pairs = p, .h = biases.data(), .out = least.data(), .columns = places.data()},
                   exec);
  least.put(exec);
  places.put(exec);
  if (const auto* const at = order(other(rows)); at && columns)
    kernels::each(kernels::LookUpArgs{at, columns}, p.n, exec);
}

template class Operator<float>;
template class Operator<double>;
}  // namespace monge
