// Independent chains of verbs, side by side: the entries of a batch. body(i, exec) is called once
// for every task i with an Exec of its own, on the device and stream of the caller's, whose stop
// flag and hook act in it. `work`: about the multiply-adds of a sweep of its; order, threads, and
// how many there are at a time follow from it. The first exception ends the call, as soon as the
// tasks that are running stop.
#pragma once
#include <cstdint>
#include <functional>
#include <span>

#include "kernels/backend.hpp"
#include "monge/core/exec.hpp"

namespace monge::kernels {
using TaskBody = std::function<void(std::int64_t task, Exec& exec)>;

namespace cpu {
void tasks(std::span<const double> work, const TaskBody& body, Exec& exec);
}
namespace cuda {
void tasks(std::span<const double> work, const TaskBody& body, Exec& exec);
}

inline void tasks(std::span<const double> work, const TaskBody& body, Exec& exec) {
  MONGE_ON(exec.device, tasks(work, body, exec));
}
}  // namespace monge::kernels
