// Transport, or the divergence, of a stack of clouds.
#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

#include "monge/ot/divergence_derivatives.hpp"
#include "monge/ot/transport.hpp"
#include "xla/call.hpp"

namespace monge::python::xla {
namespace {
/// Results by the letters of the attribute `of`: v(alue), potentials f and g, gradients x, y, a, b.
template <class T>
class Results {
 public:
  explicit Results(const Call& call) : call_(call), of_(call.attributes.text("of")) {}
  bool gradients() const { return of_.find('x') != std::string::npos; }
  bool in_epsilon() const { return of_.find('e') != std::string::npos; }

  /// The part at `place` of a result of parts of one size.
  template <class S>
  void put(char letter, std::int64_t place, const Buffer<S>& part) const {
    if (T* const to = find(letter))
      convert(to + place * part.size(), part.data(), part.size(), call_);
  }
  /// One number an entry.
  void put_numbers(char letter, const std::vector<double>& values) const {
    T* const to = find(letter);
    if (!to) return;
    const std::vector<T> rounded(values.begin(), values.end());
    copy(to, call_.device, rounded.data(), {},
         static_cast<std::int64_t>(rounded.size() * sizeof(T)), call_.stream);
  }
  template <class S>
  void put_gradient(std::int64_t entry, const S& slopes) const {
    put('x', entry, slopes.dx);
    put('y', entry, slopes.dy);
    put('a', entry, slopes.da);
    put('b', entry, slopes.db);
  }

 private:
  T* find(char letter) const {
    const auto at = of_.find(letter);
    return at == std::string::npos ? nullptr : static_cast<T*>(call_.result(at).untyped_data());
  }
  const Call& call_;
  std::string of_;
};

/// Counts the entries that ended without meeting the tolerance.
class Unmet {
 public:
  void look(std::size_t entry, const SinkhornReport& report) {
    if (report.converged || (count_ && entry == entry_)) return;
    if (++count_ == 1) entry_ = entry, first_ = report;
  }
  void tell(std::size_t entries, double tolerance) const {
    if (!count_) return;
    char text[240];
    std::snprintf(text, sizeof text,
                  "%zu of %zu solves did not meet the tolerance %.2e, the first is entry %zu: %s "
                  "after %d iterations with marginal_error %.2e",
                  count_, entries, tolerance, entry_, to_string(first_.status), first_.iterations,
                  first_.marginal_error);
    warn(text);
  }

 private:
  std::size_t count_ = 0, entry_ = 0;
  SinkhornReport first_;
};

template <class S>
struct Clouds {
  explicit Clouds(const Call& call)
      : x(call, 0),
        y(call, 1),
        a_(call, 2),
        b_(call, 3),
        uniform_(call.attributes.text("uniform")) {}
  Given<S> x, y;

  VectorView<const S> a(std::int64_t entry) const { return weights('a', a_, entry); }
  VectorView<const S> b(std::int64_t entry) const { return weights('b', b_, entry); }

  std::size_t size() const { return static_cast<std::size_t>(x.entries); }
  Problem<S> problem(std::size_t i, const DivergenceOptions& options, void* stream) const {
    const auto [geometry, on_a, on_b, side_a, side_b, more] = arguments(i, options, stream);
    return {geometry, on_a, on_b, side_a, side_b, more};
  }
  std::vector<Problem<S>> problems(const DivergenceOptions& options, Exec& exec) const {
    std::vector<ProblemArgs<S>> all;
    for (std::size_t i = 0; i < size(); ++i) all.push_back(arguments(i, options, exec.stream));
    return monge::problems<S>(all, exec);
  }

 private:
  ProblemArgs<S> arguments(std::size_t i, const DivergenceOptions& options, void* stream) const {
    const auto entry = static_cast<std::int64_t>(i);
    return {PointCloud<S>{x.points(entry), y.points(entry), options.cost},
            a(entry),
            b(entry),
            options.marginal_a,
            options.marginal_b,
            {std::nullopt, options.mass_tolerance, stream}};
  }
  VectorView<const S> weights(char name, const Given<S>& given, std::int64_t entry) const {
    return uniform_.find(name) == std::string::npos ? given.weights(entry) : VectorView<const S>{};
  }
  Given<S> a_, b_;
  std::string uniform_;
};

DivergenceOptions with(DivergenceOptions options, double epsilon) {
  options.epsilon = epsilon;
  return options;
}

template <class T, class S>
void between(const Call& call, const DivergenceOptions& options) {
  const auto epsilons = call.epsilons();
  Exec exec = call.exec();
  const Clouds<S> clouds(call);
  const Results<T> results(call);
  auto wrt = Wrt{};
  if (results.gradients())
    wrt = Wrt::source | Wrt::target | Wrt::source_weights | Wrt::target_weights;
  if (results.in_epsilon()) wrt = wrt | Wrt::epsilon;
  // One entry is a call of its own: its errors name no entry.
  std::vector<Problem<S>> posed;
  std::vector<Transport<S>> solved;
  if (clouds.size() == 1) {
    posed.push_back(clouds.problem(0, options, call.stream));
    solved.push_back(transport(posed.front(), with(options, epsilons[0]), wrt, exec));
  } else {
    posed = clouds.problems(options, exec);
    std::vector<BatchEntry<S>> entries;
    for (std::size_t i = 0; i < posed.size(); ++i)
      entries.push_back({&posed[i], with(options, epsilons[i])});
    solved = transport<S>(entries, wrt, exec);
  }

  std::vector<double> values, slopes;
  Unmet unmet;
  for (const auto& [result, found] : solved) {
    const auto entry = static_cast<std::int64_t>(values.size());
    unmet.look(values.size(), result.report);
    values.push_back(result.report.dual_value);
    results.put('f', entry, result.f);
    results.put('g', entry, result.g);
    if (results.gradients()) results.put_gradient(entry, found);
    slopes.push_back(found.depsilon);
  }
  results.put_numbers('v', values);
  results.put_numbers('e', slopes);
  unmet.tell(values.size(), options.tolerance);
}

template <class T, class S>
void debiased(const Call& call, DivergenceOptions options) {
  const auto epsilons = call.epsilons();
  Exec exec = call.exec();
  const Clouds<S> clouds(call);
  const Results<T> results(call);
  options.gradients = results.gradients();
  std::vector<DivergenceEntry<S>> entries;
  for (std::int64_t i = 0; i < clouds.x.entries; ++i)
    entries.push_back({{clouds.x.points(i), clouds.a(i)},
                       {clouds.y.points(i), clouds.b(i)},
                       with(options, epsilons[i])});
  std::vector<Divergence<S>> solved;
  if (const auto& [source, target, own] = entries.front(); entries.size() == 1)
    solved.push_back(divergence(source, target, own, exec));
  else
    solved = divergence<S>(entries, exec);
  std::vector<double> values, slopes;
  Unmet unmet;
  for (const Divergence<S>& one : solved) {
    const auto entry = static_cast<std::int64_t>(values.size());
    for (const auto* term : {&one.ab, &one.aa, &one.bb}) unmet.look(values.size(), term->report);
    values.push_back(one.value);
    const Buffer<S>* const f[] = {&one.ab.f, &one.aa.f, &one.aa.g};
    const Buffer<S>* const g[] = {&one.ab.g, &one.bb.f, &one.bb.g};
    for (int k = 0; k < 3; ++k) {
      results.put('f', 3 * entry + k, *f[k]);
      results.put('g', 3 * entry + k, *g[k]);
    }
    if (results.gradients()) results.put_gradient(entry, one);
    if (!results.in_epsilon()) continue;
    const auto& [source, target, own] = entries[entry];
    slopes.push_back(strength_gradient(source, target, one, own, exec).depsilon);
  }
  results.put_numbers('v', values);
  results.put_numbers('e', slopes);
  unmet.tell(values.size(), options.tolerance);
}

template <class T, class S>
void solve(const Call& call, const DivergenceOptions& options) {
  call.attributes.get<bool>("debias") ? debiased<T, S>(call, options)
                                      : between<T, S>(call, options);
}
}  // namespace

ffi::Error transport(const Call& call) {
  return guarded([&] {
    const DivergenceOptions options = call.options();
    if (call.argument(0).element_type() == ffi::F64) return solve<double, double>(call, options);
    widens(options.precision, options.tolerance) ? solve<float, double>(call, options)
                                                 : solve<float, float>(call, options);
  });
}
}  // namespace monge::python::xla
