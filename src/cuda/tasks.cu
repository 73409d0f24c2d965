// One task after the other.
#include "kernels/tasks.hpp"

namespace monge::kernels::cuda {
void tasks(std::span<const double> work, const TaskBody& body, Exec& exec) {
  const auto count = static_cast<std::int64_t>(work.size());
  std::int64_t finished = 0;
  Exec own;
  own.device = exec.device;
  own.stream = exec.stream;
  own.stop = exec.stop;
  if (exec.progress)
    own.progress = [&](Progress at) {
      at.entries = count;
      at.entries_done = finished;
      return exec.progress(at);
    };
  for (; finished < count; ++finished) body(finished, own);
}
}  // namespace monge::kernels::cuda
