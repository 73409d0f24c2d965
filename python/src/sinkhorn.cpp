#include "monge/ot/sinkhorn.hpp"

#include "bindings.hpp"
#include "casts.hpp"
#include "options.hpp"
#include "run.hpp"

namespace monge::python {
namespace {
void bind_report(nb::module_& m) {
  nb::class_<SinkhornCheck>(m, "SinkhornCheck", "One check of a pair of potentials.")
      .def_ro("iterations", &SinkhornCheck::iterations)
      .def_ro("passes", &SinkhornCheck::passes)
      .def_ro("epsilon", &SinkhornCheck::epsilon)
      .def_ro("marginal_error", &SinkhornCheck::marginal_error)
      .def_ro("residual_a", &SinkhornCheck::residual_a)
      .def_ro("residual_b", &SinkhornCheck::residual_b)
      .def_ro("dual_value", &SinkhornCheck::dual_value)
      .def_ro("transported_mass", &SinkhornCheck::transported_mass)
      .def_ro("truncation", &SinkhornCheck::truncation)
      .def("__repr__", [](const SinkhornCheck& c) {
        return nb::str(
                   "SinkhornCheck(iterations={}, passes={}, epsilon={:.4g}, marginal_error={:.3e}, "
                   "dual_value={:.10g}, transported_mass={:.6g})")
            .format(c.iterations, c.passes, c.epsilon, c.marginal_error, c.dual_value,
                    c.transported_mass);
      });
  nb::class_<SinkhornPhase>(m, "SinkhornPhase", "A stretch of a solve in which one method ran.")
      .def_ro("name", &SinkhornPhase::name)
      .def_ro("passes", &SinkhornPhase::passes)
      .def_ro("steps", &SinkhornPhase::steps)
      .def_ro("why", &SinkhornPhase::why)
      .def("__repr__", [](const SinkhornPhase& p) {
        return nb::str("SinkhornPhase(name={!r}, passes={:.4g}, steps={}, why={!r})")
            .format(p.name, p.passes, p.steps, p.why);
      });
  nb::class_<SinkhornReport, SinkhornCheck>(m, "SinkhornReport", "The state of a solve.")
      .def_prop_ro("status", [](const SinkhornReport& r) { return to_string(r.status); })
      .def_ro("converged", &SinkhornReport::converged)
      .def_ro("duality_gap", &SinkhornReport::duality_gap)
      .def_ro("predicted_floor", &SinkhornReport::predicted_floor)
      .def_ro("weight_error", &SinkhornReport::weight_error)
      .def_ro("fast_passes", &SinkhornReport::fast_passes)
      .def_ro("absorbed", &SinkhornReport::absorbed)
      .def_ro("mass_level", &SinkhornReport::mass_level)
      .def_ro("omega", &SinkhornReport::omega)
      .def_ro("phases", &SinkhornReport::phases)
      .def_prop_ro("geometry", [](const SinkhornReport& r) { return to_string(r.geometry); })
      .def_ro("kept", &SinkhornReport::kept)
      .def_ro("coarse_passes", &SinkhornReport::coarse_passes)
      .def_ro("verified", &SinkhornReport::verified)
      .def_ro("trace", &SinkhornReport::trace);
}

void bind_options(nb::module_& m) {
  nb::enum_<Annealing>(m, "Annealing")
      .value("automatic", Annealing::automatic)
      .value("off", Annealing::off);
  nb::enum_<Acceleration>(m, "Acceleration")
      .value("automatic", Acceleration::automatic)
      .value("none", Acceleration::none)
      .value("over_relaxation", Acceleration::over_relaxation)
      .value("anderson", Acceleration::anderson)
      .value("newton", Acceleration::newton)
      .value("support", Acceleration::support);
  nb::enum_<Initializer>(m, "Initializer")
      .value("automatic", Initializer::automatic)
      .value("zero", Initializer::zero)
      .value("gaussian", Initializer::gaussian)
      .value("sorting", Initializer::sorting)
      .value("subsample", Initializer::subsample)
      .value("coarse", Initializer::coarse);
  nb::enum_<Precision>(m, "Precision")
      .value("automatic", Precision::automatic)
      .value("accurate", Precision::accurate)
      .value("fast", Precision::fast)
      .value("mixed", Precision::mixed)
      .value("double", Precision::double_);
  nb::enum_<Schedule>(m, "Schedule")
      .value("plain", Schedule::plain)
      .value("staged", Schedule::staged);
  nb::enum_<Sweeps>(m, "Sweeps")
      .value("automatic", Sweeps::automatic)
      .value("dense", Sweeps::dense)
      .value("tree", Sweeps::tree);
  m.def("widens", &widens, "precision"_a, "tolerance"_a,
        "Whether float32 arrays are to be solved as a copy in float64.");
  nb::class_<SinkhornOptions>(m, "SinkhornOptions")
      .def(nb::init<>())
      .def_rw("epsilon", &SinkhornOptions::epsilon)
      .def_rw("tolerance", &SinkhornOptions::tolerance)
      .def_rw("max_iterations", &SinkhornOptions::max_iterations)
      .def_rw("check_every", &SinkhornOptions::check_every)
      .def_rw("translate", &SinkhornOptions::translate)
      .def_rw("annealing", &SinkhornOptions::annealing)
      .def_rw("acceleration", &SinkhornOptions::acceleration)
      .def_rw("initializer", &SinkhornOptions::initializer)
      .def_rw("seed", &SinkhornOptions::seed)
      .def_rw("precision", &SinkhornOptions::precision)
      .def_rw("schedule", &SinkhornOptions::schedule)
      .def_rw("geometry", &SinkhornOptions::geometry)
      .def_rw("verify", &SinkhornOptions::verify)
      .def_rw("kernel_cache", &SinkhornOptions::kernel_cache);
  m.def("goes_on", &goes_on, "options"_a, "report"_a,
        "Whether a solve in float32 ended where one in float64 is to go on.");
}

template <class T>
void bind(nb::module_& m, const char* name) {
  nb::class_<SinkhornResult<T>>(m, name)
      .def_prop_ro("f", [](const SinkhornResult<T>& r) { return window(r, r.f); })
      .def_prop_ro("g", [](const SinkhornResult<T>& r) { return window(r, r.g); })
      .def_ro("report", &SinkhornResult<T>::report);
  m.def(
      "sinkhorn",
      [](const Problem<T>& problem, const SinkhornOptions& options,
         const std::optional<Vector<T>>& start_f, const std::optional<Vector<T>>& start_g,
         nb::object on_check, const Call& call) {
        const SinkhornOptions checked = with_callback(options, on_check);
        return run(call, problem.device(), [&](Exec& exec) {
          return sinkhorn(problem, checked, exec, Start<T>{view(start_f), view(start_g)});
        });
      },
      "problem"_a, "options"_a, "start_f"_a.noconvert().none(), "start_g"_a.noconvert().none(),
      "on_check"_a.none(), "call"_a);
}
}  // namespace

void bind_sinkhorn(nb::module_& m) {
  nb::class_<Call>(m, "Call",
                   "Threads (0: as the process may use), progress hook and CUDA stream of a call.")
      .def(nb::init<int, nb::object, std::uintptr_t>(), "threads"_a = 0,
           "progress"_a.none() = nb::none(), "stream"_a = 0);
  bind_report(m);
  bind_options(m);
  bind<float>(m, "SinkhornResultF32");
  bind<double>(m, "SinkhornResultF64");
  m.def(
      "go_on",
      [](const Problem<double>& problem, const SinkhornOptions& options,
         const SinkhornResult<float>& begun, nb::object on_check, const Call& call) {
        const SinkhornOptions checked = with_callback(options, on_check);
        return run(call, problem.device(),
                   [&](Exec& exec) { return sinkhorn(problem, checked, exec, begun); });
      },
      "problem"_a, "options"_a, "begun"_a, "on_check"_a.none(), "call"_a);
}
}  // namespace monge::python
