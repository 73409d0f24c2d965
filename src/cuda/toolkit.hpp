// The CUDA run time as the rest of monge may see it: no CUDA header appears here.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace monge::cuda {
/// Version of the run time that was linked, "13.0".
std::string toolkit_version();
/// Names of the visible devices; empty where there is no driver.
std::vector<std::string> device_names();
/// Kernels that were put on streams, one or many of a kind at a time: tests count them.
std::int64_t launches();
}  // namespace monge::cuda
