#include "xla/call.hpp"

#include <nanobind/nanobind.h>

#include "casts.hpp"

namespace monge::python::xla {
namespace {
/// Whether Ctrl-C was pressed, seen where XLA runs the call on Python's main thread, as on the CPU;
/// it is raised there once XLA has returned.
bool interrupted() {
  const nb::gil_scoped_acquire locked;
  if (PyErr_CheckSignals() == 0) return false;
  PyErr_Clear();
  PyErr_SetInterrupt();
  return true;
}
}  // namespace

Exec Call::exec() const {
  Exec exec;
  exec.device = device;
  exec.stream = stream;
  exec.threads = static_cast<int>(attributes.get<std::int64_t>("threads"));
  exec.progress = [](const Progress&) { return !interrupted(); };
  return exec;
}

DivergenceOptions Call::options() const {
  const Attributes& of = attributes;
  DivergenceOptions out;
  out.cost = parse_cost(of.text("cost"), of.get<double>("power"));
  out.marginal_a = to_marginal({of.text("marginal_a"), of.get<double>("strength_a")});
  out.marginal_b = to_marginal({of.text("marginal_b"), of.get<double>("strength_b")});
  out.mass_tolerance = of.get<double>("mass_tolerance");
  out.epsilon = of.get<double>("epsilon");
  out.tolerance = of.get<double>("tolerance");
  out.max_iterations = static_cast<int>(of.get<std::int64_t>("max_iterations"));
  out.check_every = static_cast<int>(of.get<std::int64_t>("check_every"));
  out.translate = of.get<bool>("translate");
  out.annealing = of.text("annealing") == "off" ? Annealing::off : Annealing::automatic;
  out.acceleration = parse_acceleration(of.text("acceleration"));
  out.initializer = parse_initializer(of.text("initializer"));
  out.seed = of.get<std::uint64_t>("seed");
  out.precision = parse_precision(of.text("precision"));
  out.schedule = of.text("schedule") == "staged" ? Schedule::staged : Schedule::plain;
  out.geometry = parse_sweeps(of.text("geometry"));
  out.kernel_cache = of.get<std::int64_t>("kernel_cache");
  return out;
}

std::vector<double> Call::epsilons() const {
  const ffi::AnyBuffer given = argument(kEpsilon);
  const std::int64_t entries = given.dimensions()[0];
  if (const double fixed = attributes.get<double>("epsilon"); fixed != 0)
    return std::vector<double>(entries, fixed);
  const auto read = [&](auto unit) {
    std::vector<decltype(unit)> values(entries);
    copy(values.data(), {}, given.untyped_data(), device,
         entries * static_cast<std::int64_t>(sizeof unit), stream);
    return std::vector<double>(values.begin(), values.end());
  };
  return given.element_type() == ffi::F64 ? read(double{}) : read(float{});
}

void warn(const std::string& text) {
  const nb::gil_scoped_acquire locked;
  const nb::object kind = nb::module_::import_("monge._errors").attr("ConvergenceWarning");
  if (PyErr_WarnEx(kind.ptr(), text.c_str(), 1) == 0) return;
  PyErr_Clear();
  throw Error("[jax] " + text);
}
}  // namespace monge::python::xla
