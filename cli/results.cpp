#include "cli/results.hpp"

#include <string>
#include <vector>

#include "cli/interrupt.hpp"
#include "io/atomic_file.hpp"
#include "io/npy.hpp"
#include "io/npz.hpp"

namespace monge::cli {
namespace {
const std::vector<std::string> kFiles{"report.json",
                                      "f.npy",
                                      "g.npy",
                                      "marginal_source.npy",
                                      "marginal_target.npy",
                                      "source_to_target.npy",
                                      "source_to_target_valid.npy",
                                      "target_to_source.npy",
                                      "target_to_source_valid.npy",
                                      "plan.npz",
                                      "pairs.npy"};

class Writer {
 public:
  explicit Writer(io::ResultDirectory& directory) : directory_(directory) {}

  template <class T>
  void array(const std::string& name, Buffer<T> values, std::vector<std::int64_t> shape) {
    check_stop();
    const auto host = std::move(values).to(Device{});
    io::write_npy(directory_.file(name + ".npy"), {std::move(shape), host.data()});
  }

  template <class T>
  void map(const std::string& name, const Plan<T>& plan, Side rows, const Shapes& shapes,
           Exec& exec) {
    const std::vector<std::int64_t>& shape = rows == Side::source ? shapes.source : shapes.target;
    Buffer<bool> valid(rows == Side::source ? plan.n() : plan.m(), exec.device);
    std::vector<std::int64_t> of_points = shape;
    of_points.push_back(shapes.dim);
    array(name, plan.barycentric(rows, exec, valid.data()), std::move(of_points));
    array(name + "_valid", std::move(valid), shape);
  }

  template <class T>
  void sparse(SparsePlan<T> plan) {
    check_stop();
    const std::int64_t shape[2] = {plan.n, plan.m};
    const auto offsets = std::move(plan.offsets).to(Device{});
    const auto columns = std::move(plan.columns).to(Device{});
    const auto values = std::move(plan.values).to(Device{});
    io::write_npz(directory_.file("plan.npz"), {{"shape", {{2}, shape}},
                                                {"offsets", {{offsets.size()}, offsets.data()}},
                                                {"columns", {{columns.size()}, columns.data()}},
                                                {"values", {{values.size()}, values.data()}}});
  }

  void pairs(Pairs64 drawn) {
    const std::int64_t size = drawn.source.size();
    const auto source = std::move(drawn.source).to(Device{});
    const auto target = std::move(drawn.target).to(Device{});
    Buffer<std::int64_t> pairs(2 * size);
    for (std::int64_t k = 0; k < size; ++k) {
      pairs[2 * k] = source[k];
      pairs[2 * k + 1] = target[k];
    }
    array("pairs", std::move(pairs), {size, 2});
  }

 private:
  io::ResultDirectory& directory_;
};
}  // namespace

template <class T>
void write_results(io::ResultDirectory& directory, const Plan<T>& plan,
                   const SinkhornResult<T>& result, const Shapes& shapes, const Wanted& wanted,
                   const Json& report, Exec& exec) {
  Writer out(directory);
  out.array("f", result.f.to(Device{}), shapes.source);
  out.array("g", result.g.to(Device{}), shapes.target);
  out.array("marginal_source", plan.marginal(Side::source, exec), shapes.source);
  out.array("marginal_target", plan.marginal(Side::target, exec), shapes.target);
  out.map("source_to_target", plan, Side::source, shapes, exec);
  out.map("target_to_source", plan, Side::target, shapes, exec);
  if (wanted.top_k > 0) out.sparse(plan.top_k(wanted.top_k, exec));
  if (wanted.draws > 0) out.pairs(plan.draw_pairs(wanted.draws, wanted.seed, exec));
  io::write_text(directory.file(kFiles.front()), to_text(report));
  check_stop();
  directory.publish(kFiles);
}

template void write_results(io::ResultDirectory&, const Plan<float>&, const SinkhornResult<float>&,
                            const Shapes&, const Wanted&, const Json&, Exec&);
template void write_results(io::ResultDirectory&, const Plan<double>&,
                            const SinkhornResult<double>&, const Shapes&, const Wanted&,
                            const Json&, Exec&);
}  // namespace monge::cli
