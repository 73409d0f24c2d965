// Second derivatives at given potentials, from directions in some of x, y, a, b to what the
// gradient or the potentials do, and the transpose of the latter: linear, each the transpose of the
// one with `moved` and `of` exchanged.
#include "monge/ot/derivatives.hpp"

#include <cstdio>
#include <string>
#include <vector>

#include "ended.hpp"
#include "monge/ot/divergence_derivatives.hpp"
#include "xla/call.hpp"

namespace monge::python::xla {
namespace {
constexpr std::size_t kPoint = 7;  // x, y, a, b, e, f, g; what is moved comes after them
constexpr std::size_t kF = 5, kG = 6;

template <class T>
class Entry {
 public:
  Entry(const Call& call, std::int64_t entry, double epsilon)
      : call_(call),
        entry_(entry),
        epsilon_(epsilon),
        moved_(call.attributes.text("moved")),
        of_(call.attributes.text("of")),
        count_(static_cast<int>(call.argument(kPoint).dimensions()[1])),
        exec_(call.exec()),
        solve_{call.attributes.get<double>("hvp_tolerance"),
               static_cast<int>(call.attributes.get<std::int64_t>("hvp_max_iterations"))},
        source_{matrix(0), weights('a', 2)},
        target_{matrix(1), weights('b', 3)} {}

  DerivativeReport run() {
    DivergenceOptions options = call_.options();
    options.epsilon = epsilon_;
    if (call_.attributes.get<bool>("debias")) {
      Divergence<T> found;
      for (const auto& [term, f, g] : {std::tuple{&found.ab, potential(kF, 0), potential(kG, 0)},
                                       std::tuple{&found.aa, potential(kF, 1), potential(kF, 2)},
                                       std::tuple{&found.bb, potential(kG, 1), potential(kG, 2)}})
        *term = ended(f, g, options.epsilon, call_.stream);
      return product(linearize(source_, target_, found, options, exec_));
    }
    const Problem<T> problem(PointCloud<T>{source_.points, target_.points, options.cost},
                             source_.weights, target_.weights, options.marginal_a,
                             options.marginal_b,
                             {std::nullopt, options.mass_tolerance, call_.stream});
    const Plan<T> plan(problem, options.epsilon, potential(kF, 0), potential(kG, 0));
    const Linearization<T> at = linearize(plan, exec_, options.kernel_cache);
    if (moved_.find_first_of("fg") != std::string::npos) return pull(at);
    return of_.find_first_of("fg") != std::string::npos ? push(at) : product(at);
  }

 private:
  template <class At>
  DerivativeReport product(const At& at) {
    const auto found = hvp(at, tangent(), wrt(), solve_, exec_);
    put_parameters(found);
    return found.report;
  }
  DerivativeReport push(const Linearization<T>& at) {
    const auto found = jvp(at, tangent(), solve_, exec_);
    put('f', found.df);
    put('g', found.dg);
    return found.report;
  }
  DerivativeReport pull(const Linearization<T>& at) {
    const Cotangent<T> of{count_, direction('f'), direction('g')};
    const auto found = vjp(at, of, wrt(), solve_, exec_);
    put_parameters(found);
    return found.report;
  }

  Tangent<T> tangent() const {
    Tangent<T> out{count_, direction('x'), direction('y'), direction('a'), direction('b')};
    if (const auto at = moved_.find('e'); at != std::string::npos) {
      std::vector<T> here(count_);
      copy(here.data(), {}, data(kPoint + at), call_.device,
           count_ * static_cast<std::int64_t>(sizeof(T)), call_.stream);
      out.depsilon.assign(here.begin(), here.end());
    }
    return out;
  }
  Wrt wrt() const {
    auto out = Wrt{};
    for (const auto& [letter, part] :
         {std::pair{'x', Wrt::source}, std::pair{'y', Wrt::target},
          std::pair{'a', Wrt::source_weights}, std::pair{'b', Wrt::target_weights},
          std::pair{'e', Wrt::epsilon}})
      if (of_.find(letter) != std::string::npos) out = out | part;
    return out;
  }

  /// Data of this entry in an argument whose first axis counts them.
  const T* data(std::size_t argument) const {
    const ffi::AnyBuffer buffer = call_.argument(argument);
    const auto size = static_cast<std::int64_t>(buffer.element_count()) / buffer.dimensions()[0];
    return static_cast<const T*>(buffer.untyped_data()) + entry_ * size;
  }
  MatrixView<const T> matrix(std::size_t argument) const {
    const auto shape = call_.argument(argument).dimensions();
    return {data(argument), shape[1], shape[2], shape[2], 1, call_.device};
  }
  VectorView<const T> weights(char name, std::size_t argument) const {
    if (call_.attributes.text("uniform").find(name) != std::string::npos) return {};
    return {data(argument), call_.argument(argument).dimensions()[1], 1, call_.device};
  }
  VectorView<const T> potential(std::size_t argument, std::int64_t which) const {
    const std::int64_t size = call_.argument(argument).dimensions()[2];
    return {data(argument) + which * size, size, 1, call_.device};
  }
  /// [count, n], or [count n, d] of points.
  MatrixView<const T> direction(char letter) const {
    const auto at = moved_.find(letter);
    if (at == std::string::npos) return {};
    const auto shape = call_.argument(kPoint + at).dimensions();
    const bool points = shape.size() == 4;
    const std::int64_t cols = shape.back();
    return {data(kPoint + at), points ? shape[1] * shape[2] : shape[1], cols, cols, 1,
            call_.device};
  }
  void put(char letter, const Buffer<T>& part) const {
    const auto at = of_.find(letter);
    if (at == std::string::npos) return;
    convert(static_cast<T*>(call_.result(at).untyped_data()) + entry_ * part.size(), part.data(),
            part.size(), call_);
  }
  template <class Found>
  void put_parameters(const Found& found) const {
    put('x', found.dx);
    put('y', found.dy);
    put('a', found.da);
    put('b', found.db);
    const auto at = of_.find('e');
    if (at == std::string::npos) return;
    const std::vector<T> rounded(found.depsilon.begin(), found.depsilon.end());
    copy(static_cast<T*>(call_.result(at).untyped_data()) + entry_ * count_, call_.device,
         rounded.data(), {}, count_ * static_cast<std::int64_t>(sizeof(T)), call_.stream);
  }

  const Call& call_;
  std::int64_t entry_;
  double epsilon_;
  std::string moved_, of_;
  int count_;
  Exec exec_;
  SolveOptions solve_;
  Measure<T> source_, target_;
};

template <class T>
void differentiate(const Call& call) {
  const auto epsilons = call.epsilons();
  for (std::size_t entry = 0; entry < epsilons.size(); ++entry) {
    const DerivativeReport report =
        Entry<T>(call, static_cast<std::int64_t>(entry), epsilons[entry]).run();
    if (report.converged) continue;
    char text[160];
    std::snprintf(text, sizeof text,
                  "a second derivative ended after %d iterations with a relative residual of %.1e: "
                  "raise hvp_max_iterations or hvp_tolerance",
                  report.iterations, report.residual);
    warn(text);
  }
}
}  // namespace

ffi::Error derivative(const Call& call) {
  return guarded([&] {
    call.argument(0).element_type() == ffi::F64 ? differentiate<double>(call)
                                                : differentiate<float>(call);
  });
}
}  // namespace monge::python::xla
