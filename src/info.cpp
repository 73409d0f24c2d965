// Above every room, so that no room needs to know which others were built.
#include "monge/info.hpp"

#include "info.hpp"

#include "cpu/target.hpp"

#ifdef MONGE_WITH_CUDA
#include "cuda/toolkit.hpp"
#endif

namespace monge {
std::string version() { return MONGE_VERSION; }
std::string commit() { return MONGE_BUILD_COMMIT; }
std::string instruction_set() { return cpu::target_name(); }

std::vector<std::string> components() {
#ifdef MONGE_WITH_CUDA
  return {"cuda " + cuda::toolkit_version()};
#else
  return {};
#endif
}

Info info() {
  Info info;
  info.version = version();
  info.components = components();
  info.commit = commit();
#if defined(__clang__)
  info.compiler = "clang " __clang_version__;
#else
  info.compiler = "g++ " __VERSION__;
#endif
  info.instruction_set = instruction_set();
  info.instruction_sets = cpu::runnable_targets();
  info.devices.emplace_back("cpu");
#ifdef MONGE_WITH_CUDA
  info.cuda_code = cuda::code();
  info.cuda_driver = cuda::driver_version();
  for (auto& name : cuda::device_names()) info.devices.push_back(std::move(name));
#endif
  return info;
}
}  // namespace monge
